"""Holds the compose file and the Kubernetes folder against their schemas.

Usage: manifests.py DIST COMPOSE_SCHEMA. Exits with 77 where the libraries are not installed.
"""

import json
import pathlib
import sys

try:
    import jsonschema
    import kubernetes_validate
    import yaml
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

dist, schema = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
if not schema.exists():
    print(f"there is no {schema}", file=sys.stderr)
    sys.exit(77)
validator = jsonschema.Draft7Validator(json.loads(schema.read_text()))
base = yaml.safe_load((dist / "compose.yaml").read_text())
over = yaml.safe_load((dist / "compose.postgresql.yaml").read_text())
for compose in (base, over):
    faults = [error.message for error in validator.iter_errors(compose)]
    assert not faults, faults
    print("ok compose")
    compose["services"]["runs-worker"]["restrat"] = "always"
    assert list(validator.iter_errors(compose)), "the schema accepts anything"
# What a service names is there, and what is put over a service is one of the base.
secrets, volumes = base["secrets"] | over["secrets"], base["volumes"] | over["volumes"]
for compose in (base, over):
    for service in compose["services"].values():
        assert all(name in secrets for name in service.get("secrets", []))
        assert all(volume.split(":")[0] in volumes for volume in service.get("volumes", []))
        assert all(name in over["services"] for name in service.get("depends_on", {}))
assert "runs-worker" in base["services"] and "image" not in over["services"]["runs-worker"]

def validate(folder):
    """Each resource of a kustomization, and of those that it stands on."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        if (folder / name).is_dir():
            validate(folder / name)
            continue
        for document in yaml.safe_load_all((folder / name).read_text()):
            kubernetes_validate.validate(document, "1.31", strict=True)
            print("ok", document["kind"])


for name in ["sqlite", "postgresql"]:
    validate(dist / "kubernetes" / name)
