//! Keys of the file itself, and of what it declares beside services.

use super::{ONE_FILE, OWN_NETWORK, VOLUME_LABEL};
use crate::compose::keys::Keys;

pub const TOP: Keys = Keys {
    noun: "a compose file",
    example: "`services: …`",
    supported: &["name", "version", "services", "volumes", "networks", "secrets", "configs", "x-slipway"],
    refused: &[
        ("include", ONE_FILE),
        ("models", "Run the model server as a service with an image of its own."),
    ],
    mistaken: &[
        ("service", "Write `services`."),
        ("image", "It belongs under a service: `services: {api: {image: …}}`."),
        ("build", "It belongs under a service: `services: {api: {build: …}}`."),
    ],
};

pub const VOLUME: Keys = Keys {
    noun: "a volume",
    example: "`{}`",
    supported: &["driver"],
    refused: &[
        (
            "driver_opts",
            "Remove it: volumes are plain local ones. What lies elsewhere is reached over the network.",
        ),
        (
            "external",
            "Remove it: a deployment's volumes are its own, made on first use and kept from update to update.",
        ),
        ("labels", VOLUME_LABEL),
        ("name", "Remove it: Slipway names volumes by deployment, so that two never share one by accident."),
    ],
    mistaken: &[],
};

pub const NETWORK: Keys = Keys {
    noun: "a network",
    example: "`{}`",
    supported: &["attachable", "driver", "external", "internal", "name"],
    refused: &[
        ("driver_opts", OWN_NETWORK),
        ("enable_ipv4", OWN_NETWORK),
        ("enable_ipv6", OWN_NETWORK),
        (
            "ipam",
            "Remove it: addresses come from the infrastructure's own range; services reach each other by name.",
        ),
        ("labels", VOLUME_LABEL),
    ],
    mistaken: &[],
};

pub const SECRET: Keys = Keys {
    noun: "a secret",
    example: "`{environment: TOKEN}`",
    supported: &["file", "environment", "external", "name"],
    refused: &[
        ("driver", "Use `external: true`: the deployment's settings hold the secret, encrypted."),
        ("driver_opts", "Use `external: true`: the deployment's settings hold the secret, encrypted."),
        ("labels", VOLUME_LABEL),
        ("template_driver", "Write the file as it shall be."),
    ],
    mistaken: &[(
        "content",
        "A secret does not belong into the bundle: write `external: true`, and the deployment's settings give it.",
    )],
};

pub const CONFIG: Keys = Keys {
    noun: "a config",
    example: "`{file: ./app.conf}`",
    supported: &["file", "environment", "content", "external", "name"],
    refused: &[("labels", VOLUME_LABEL), ("template_driver", "Write the file as it shall be.")],
    mistaken: &[],
};

pub const SLIPWAY_TOP: Keys = Keys {
    noun: "the top-level x-slipway",
    example: "`{version: \"1.0\"}`",
    supported: &["version"],
    refused: &[],
    mistaken: &[
        ("kind", "It belongs under a service's `x-slipway`."),
        ("expose", "It belongs under a service's `x-slipway`."),
        ("metrics", "It belongs under a service's `x-slipway`."),
    ],
};
