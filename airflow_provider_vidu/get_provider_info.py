# SPDX-License-Identifier: Apache-2.0
"""Metadata of this package for Airflow's providers manager."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Vidu"


def get_provider_info() -> dict[str, Any]:
    """
    Return the provider's metadata (entry point ``apache_airflow_provider``).

    :return: Metadata by Airflow's ``provider_info`` schema.
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
        "operators": [_modules("operators.vidu", "operators.generate", "operators.batch", "operators.rescue")],
        "sensors": [_modules("sensors.vidu")],
        "triggers": [_modules("triggers.vidu", "triggers.batch")],
        "task-decorators": [
            {"name": "vidu_batch", "class-name": "airflow_provider_vidu.decorators.batch.vidu_batch_task"}
        ],
        "config": {
            "vidu": {
                "description": "The Vidu provider.",
                "options": {
                    "media_roots": {
                        "description": (
                            "Comma-separated directories and object storage URIs from which the api-server may read "
                            "files for the tabs Video and Videos: stored videos (.mp4) and batch manifests. A user who "
                            "may read a DAG's XComs sees the files that its tasks name. A user who may write XComs "
                            "sees every video in these locations. If it is empty, the tabs show no stored files. A URI "
                            "names its connection in the same form as destination."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/data/videos, s3://aws_default@bucket/videos",
                        "default": "",
                    },
                    "media_sources": {
                        "description": (
                            "Comma-separated directories and object storage URIs from which workers may read a task's "
                            "input files, or sign URLs for them. If it is empty, a task can use any file that the "
                            "worker can read. A DAG may take a file name from its params. Any user who may trigger it "
                            "can then send any image on the worker, and any file in its stores, to the API."
                        ),
                        "version_added": "0.2.0",
                        "type": "string",
                        "example": "/data/pictures, s3://aws_default@pictures/vidu",
                        "default": "",
                    },
                    "ledger": {
                        "description": (
                            "Directory or object storage URI of the ledger, the record of every paid submit. All "
                            "workers must share it. It contains prompts, but neither keys nor images. Below Airflow "
                            "3.3 it also contains the task states with which a retry finds what was paid. Empty means "
                            "no ledger. A URI names its connection in the same form as destination."
                        ),
                        "version_added": "0.2.0",
                        "type": "string",
                        "example": "s3://aws_default@bucket/vidu-ledger",
                        "default": "",
                    },
                    "daily_budget": {
                        "description": (
                            "Highest estimated cost in CNY of all submits of a day in the ledger. The operator does "
                            "not send a submit above it. Empty means no limit. Requires a ledger."
                        ),
                        "version_added": "0.2.0",
                        "type": "string",
                        "example": "200",
                        "default": "",
                    },
                    "monthly_budget": {
                        "description": (
                            "Highest estimated cost in CNY of all submits of a calendar month in the ledger. Empty "
                            "means no limit. Requires a ledger."
                        ),
                        "version_added": "0.2.0",
                        "type": "string",
                        "example": "3000",
                        "default": "",
                    },
                    "budget_timezone": {
                        "description": (
                            "Time zone of the ledger's days and of the budgets, a name of the IANA database. All "
                            "deployments that share a ledger need the same value."
                        ),
                        "version_added": "0.2.0",
                        "type": "string",
                        "example": "Europe/Berlin",
                        "default": "Asia/Shanghai",
                    },
                    "allow_private_result_hosts": {
                        "description": (
                            "Whether result links may point to private, loopback and link-local addresses. The "
                            "provider always allows them if the host of the connection has such an address."
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
                        "description": "How the hook sends the API key: alone (key) or as a Bearer token (bearer).",
                    },
                    "timeout": {
                        "label": "Timeout",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                        "description": "Seconds to wait for the response to one request; 60 if empty.",
                    },
                    "max_requests_per_minute": {
                        "label": "Requests per minute",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                        "description": "Most requests per minute, evenly spread, that one triggerer process, or one "
                        "batch on its worker, may send; no limit if empty.",
                    },
                    "verify": {
                        "label": "Verify TLS",
                        # A switch without a default looks as if it were off.
                        "schema": {"type": ["boolean", "null"], "default": True},
                        "description": "Whether to verify the server's certificate. To use a CA bundle, set its path "
                        "in the JSON below.",
                    },
                },
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login"],
                    "relabeling": {"password": "API key", "host": "Base URL"},
                    # Airflow shows no help text for these fields, so the placeholders are the only help.
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
