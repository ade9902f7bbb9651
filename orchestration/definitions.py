"""What `workspace.yaml` loads."""

from orchestration.wiring import build_definitions

defs = build_definitions()
