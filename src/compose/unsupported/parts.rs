//! Keys of what stands in the lists and mappings of a service.

use super::VOLUME_LABEL;
use crate::compose::keys::Keys;

pub const HEALTHCHECK: Keys = Keys {
    noun: "a healthcheck",
    example: "`test: [\"CMD\", \"curl\", \"-f\", \"http://localhost:8000/health\"]`",
    supported: &["test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"],
    refused: &[],
    mistaken: &[("command", "Write `test`."), ("period", "Write `interval`.")],
};

pub const DEPENDENCY: Keys = Keys {
    noun: "a dependency",
    example: "`condition: service_healthy`",
    supported: &["condition", "required", "restart"],
    refused: &[],
    mistaken: &[],
};

pub const PORT: Keys = Keys {
    noun: "a port",
    example: "`target: 8000`",
    supported: &["target", "published", "host_ip", "protocol", "mode"],
    refused: &[
        ("name", "Remove it: ports are named by their numbers."),
        ("app_protocol", "Remove it: ports carry what the program speaks."),
    ],
    mistaken: &[
        ("port", "Write `target`."),
        ("container", "Write `target`."),
        ("host", "Write `published`."),
    ],
};

pub const MOUNT: Keys = Keys {
    noun: "a volume",
    example: "`{type: volume, source: data, target: /data}`",
    supported: &["type", "source", "target", "read_only", "bind", "volume", "tmpfs"],
    refused: &[
        ("consistency", "Remove it: it means nothing on Linux."),
        ("image", "Mount a folder of the bundle instead, or copy the files in a Dockerfile."),
    ],
    mistaken: &[
        ("src", "Write `source`."),
        ("dst", "Write `target`."),
        ("destination", "Write `target`."),
        ("readonly", "Write `read_only`."),
    ],
};

pub const MOUNT_BIND: Keys = Keys {
    noun: "bind",
    example: "`{}`",
    supported: &[],
    refused: &[
        ("create_host_path", "Remove it: what is mounted must exist."),
        ("propagation", "Remove it: mounts stay private to the container."),
        ("recursive", "Remove it: mounts stay private to the container."),
        ("selinux", "Remove it: files of a bundle reach the container in its image."),
    ],
    mistaken: &[],
};

pub const MOUNT_TMPFS: Keys = Keys {
    noun: "tmpfs",
    example: "`{size: 64m}`",
    supported: &["size", "mode"],
    refused: &[],
    mistaken: &[],
};

pub const MOUNT_VOLUME: Keys = Keys {
    noun: "volume",
    example: "`{}`",
    supported: &[],
    refused: &[
        ("labels", VOLUME_LABEL),
        ("nocopy", "Remove it: a new volume starts with what the image holds at that path."),
        ("subpath", "Mount the whole volume, or use a volume of its own."),
    ],
    mistaken: &[],
};

pub const FILE_REFERENCE: Keys = Keys {
    noun: "a secret or config of a service",
    example: "`{source: token, target: /run/secrets/token}`",
    supported: &["source", "target", "mode"],
    refused: &[
        ("uid", "Remove it and let everybody in the container read the file (`mode: 0444`, the default)."),
        ("gid", "Remove it and let everybody in the container read the file (`mode: 0444`, the default)."),
    ],
    mistaken: &[("file", "Write `source`, and the file under the top-level `secrets` or `configs`.")],
};

pub const ENV_FILE: Keys = Keys {
    noun: "an env_file",
    example: "`{path: ./api.env}`",
    supported: &["path", "required", "format"],
    refused: &[],
    mistaken: &[("file", "Write `path`.")],
};

pub const SLIPWAY: Keys = Keys {
    noun: "a service's x-slipway",
    example: "`{expose: true}`",
    supported: &["metrics", "expose", "kind"],
    refused: &[],
    mistaken: &[("version", "It belongs under the top-level `x-slipway`.")],
};

pub const METRICS: Keys = Keys {
    noun: "metrics",
    example: "`{port: 8000, path: /metrics}`",
    supported: &["port", "path"],
    refused: &[],
    mistaken: &[],
};
