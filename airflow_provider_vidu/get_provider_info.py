# SPDX-License-Identifier: Apache-2.0
"""What Airflow's providers manager is told about this package."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Vidu"


def get_provider_info() -> dict[str, Any]:
    """
    Describe the provider (entry point ``apache_airflow_provider``).

    :return: the provider's metadata by Airflow's ``provider_info`` schema.
    """
    return {
        "package-name": "airflow-provider-vidu",
        "name": "Vidu",
        "description": "Vidu video generation on `UCloud ModelVerse <https://www.ucloud.cn/>`__",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://github.com/UCloudDoc-Team/modelverse",
                "tags": ["ai"],
            }
        ],
        "hooks": [_modules("hooks.vidu")],
        "operators": [_modules("operators.vidu", "operators.generate", "operators.batch")],
        "sensors": [_modules("sensors.vidu")],
        "triggers": [_modules("triggers.vidu", "triggers.batch")],
        "config": {
            "vidu": {
                "description": "Vidu in Airflow's UI.",
                "options": {
                    "media_roots": {
                        "description": (
                            "Directories and object storage URIs, separated by commas, below which the api-server may "
                            "read what the tabs Video and Videos show: stored videos (.mp4) and the manifests of "
                            "batches. Whoever may read a DAG's XComs sees those that its tasks name; whoever may write "
                            "them sees every video below. Empty shows none. A URI names its connection as "
                            "destination does."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/data/videos, s3://aws_default@bucket/videos",
                        "default": "",
                    },
                    "media_sources": {
                        "description": (
                            "Directories and object storage URIs, separated by commas, below which workers may read "
                            "files that a task names as input (images, the sound of one-click/mv). Empty lets a task "
                            "read any file that the worker can read: whoever may trigger a DAG that takes such a name "
                            "from its params can then have any picture on the worker sent to the API."
                        ),
                        "version_added": "0.2.0",
                        "type": "string",
                        "example": "/data/pictures, s3://aws_default@pictures/vidu",
                        "default": "",
                    },
                    "allow_private_result_hosts": {
                        "description": (
                            "Whether result links may lead to private, loopback and link-local addresses. They may "
                            "anyway where the connection's own host has such an address."
                        ),
                        "version_added": "0.2.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    },
                },
            }
        },
        "transfers": [
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": "Common IO",
                "python-module": "airflow_provider_vidu.transfers.object_storage",
            }
        ],
        "extra-links": ["airflow_provider_vidu.links.ViduVideoLink"],
        "connection-types": [
            {
                "hook-class-name": "airflow_provider_vidu.hooks.vidu.ViduHook",
                "hook-name": "Vidu",
                "connection-type": "vidu",
                "conn-fields": {
                    "auth_scheme": {
                        "label": "Authorization scheme",
                        "schema": {"type": ["string", "null"], "enum": ["key", "bearer"], "default": "key"},
                        "description": "How the API key is sent: alone (key) or as a Bearer token (bearer).",
                    },
                    "timeout": {
                        "label": "Time-out",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                        "description": "Seconds to wait for an answer to one request; 60 when empty.",
                    },
                    "max_requests_per_minute": {
                        "label": "Requests per minute",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                        "description": "How many requests all triggers of one process may send; any number when empty.",
                    },
                    "verify": {
                        "label": "Verify TLS",
                        # A switch that is neither on nor off looks as if it were off.
                        "schema": {"type": ["boolean", "null"], "default": True},
                        "description": "Whether to check the server's certificate. The path of a CA bundle goes into "
                        "the JSON below.",
                    },
                },
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login"],
                    "relabeling": {"password": "API key", "host": "Base URL"},
                    # Airflow shows no sentence of help beside these: this is the only place for a word of it.
                    "placeholders": {
                        "host": "https://api.modelverse.cn",
                        "password": "The key from the ModelVerse console",
                        "port": "443",
                    },
                },
            }
        ],
    }


def _modules(*names: str) -> dict[str, Any]:
    return {"integration-name": _INTEGRATION, "python-modules": [f"airflow_provider_vidu.{name}" for name in names]}
