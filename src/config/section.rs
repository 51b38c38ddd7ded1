//! The options: one struct a section. From each entry here come the field, the key in the file, the environment
//! variable, the check and the line of `config.example.toml`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::config::kind::{
    BaseUrl, ByteSize, Cidr, GroupsSource, HostName, Issuer, LogFormat, LogLevel, Namespace, UserId,
};
use crate::config::layers::Layers;
use crate::config::value::{Scalar as _, Value};
use crate::domain::infrastructure::EngineConnection;
use crate::domain::name::{GroupName, InfrastructureId};
use crate::domain::pipeline::definition::Defaults;

/// What there is to know of an option besides its value.
#[derive(Debug)]
pub struct OptionInfo {
    pub key: &'static str,
    /// For people, a line each.
    pub about: &'static [&'static str],
    pub secret: bool,
    /// In TOML; `None` where it is left out by default.
    pub default: Option<String>,
    /// In TOML, where the default says too little.
    pub example: Option<&'static str>,
}

/// A section of the file.
pub trait Section: Sized {
    /// For people, a line each.
    const ABOUT: &'static [&'static str];
    /// Its options in the order of the example.
    fn options() -> Vec<OptionInfo>;
    /// Reads its options under the heading `section`.
    fn read(layers: &mut Layers<'_>, section: &str) -> Self;
}

macro_rules! sections {
    ($($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $text:literal])+ $key:ident: $kind:ty = $default:expr $(, for example $example:literal)?;)*
    })*) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub struct $name { $($(#[doc = $text])+ pub $key: $kind,)* }

        impl Section for $name {
            const ABOUT: &'static [&'static str] = &[$($about),+];
            fn options() -> Vec<OptionInfo> {
                vec![$({
                    let default: $kind = $default;
                    OptionInfo {
                        key: stringify!($key),
                        about: &[$($text),+],
                        secret: <$kind as Value>::SECRET,
                        default: default.show(),
                        example: [$($example)?].first().copied(),
                    }
                },)*]
            }
            fn read(layers: &mut Layers<'_>, section: &str) -> Self {
                Self { $($key: layers.value::<$kind>(section, stringify!($key), || $default),)* }
            }
        }
    )*};
}

sections! {
    /// Where the server listens and what it takes.
    Server {
        /// Address and port. Beyond loopback it takes `base_url`, and a login: OIDC, or a local administrator.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        /// Where browsers reach the console, with its sub-path if it has one; made from `listen` when left out.
        base_url: Option<BaseUrl> = None, for example "\"https://slipway.example.org\"";
        /// Proxies in front of Slipway: X-Forwarded-For and X-Forwarded-Proto are believed from these alone.
        trusted_proxies: Vec<Cidr> = Vec::new(), for example "[\"10.0.0.0/8\"]";
        /// Threads that serve requests; 0 takes one per processor.
        workers: u32 = 0;
        /// The largest body of a request, uploads of bundles aside.
        max_body: ByteSize = ByteSize::mib(2);
        /// How long requests and update steps may go on after SIGTERM.
        shutdown_grace: Duration = Duration::from_secs(30);
    }

    /// What is logged, to standard error.
    Log {
        /// `text` for people, `json` for collectors.
        format: LogFormat = LogFormat::Text;
        /// A level, or directives of `tracing` such as `info,slipway::reconcile=debug`.
        level: LogLevel = LogLevel("info".into());
    }

    /// Where the state is kept.
    Data {
        /// The data directory; `--data-dir` and `SLIPWAY_DATA_DIR` set it too. When left out: `/var/lib/slipway` for
        /// root, else `$XDG_DATA_HOME/slipway` or `~/.local/share/slipway`.
        dir: Option<PathBuf> = None, for example "\"/var/lib/slipway\"";
    }

    /// Who may do what, besides grants.
    Access {
        /// Members of these groups may do everything.
        admin_groups: Vec<GroupName> = GroupName::parse("admins").into_iter().collect();
        /// Members of these groups may make projects; an empty list lets everyone who is signed in.
        project_makers: Vec<GroupName> = Vec::new(), for example "[\"data-scientists\"]";
    }

    /// Sign-in through an OpenID provider. Without `issuer`, only local users sign in.
    Oidc {
        /// The provider's issuer, letter by letter as its discovery document has it. Plain http on loopback alone.
        issuer: Option<Issuer> = None, for example "\"https://id.example.org/realms/data\"";
        /// The client's id at the provider. Its redirect URI is `<base_url>/auth/callback`, its back-channel logout
        /// URI `<base_url>/auth/backchannel-logout`.
        client_id: Option<String> = None, for example "\"slipway\"";
        /// The client's secret; none for a public client.
        client_secret: Option<SecretString> = None;
        /// What is asked for. Scopes that the provider's discovery document does not list are left out.
        scopes: Vec<String> = ["openid", "profile", "email", "groups"].map(String::from).to_vec();
        /// The claim that holds the groups: a list or one text; dots lead inwards, as in `realm_access.roles`.
        groups_claim: String = "groups".into();
        /// Where that claim is: `id_token`, `userinfo`, or `auto`: in the ID token, else in userinfo.
        groups_source: GroupsSource = GroupsSource::Auto;
        /// The claim that holds the name shown.
        name_claim: String = "name".into();
        /// The claim that holds the user name, shown where there is no name.
        username_claim: String = "preferred_username".into();
        /// Audiences of bearer tokens that the API takes besides those for `client_id`.
        api_audiences: Vec<String> = Vec::new(), for example "[\"slipway-api\"]";
        /// A file of certificates (PEM) to trust for the provider besides the system's.
        ca_file: Option<PathBuf> = None, for example "\"/etc/ssl/company-ca.pem\"";
        /// What the button on the sign-in page says.
        button_label: String = "Sign in with single sign-on".into();
        /// Where the provider sends browsers after signing out; `<base_url>/login` when left out.
        post_logout_redirect: Option<BaseUrl> = None, for example "\"https://intranet.example.org\"";
    }

    /// How long a sign-in lasts.
    Session {
        /// A session ends when nobody used it for this long. A page that keeps itself live is no use.
        idle: Duration = Duration::from_secs(8 * 3600);
        /// A session ends after this time, used or not.
        absolute: Duration = Duration::from_secs(7 * 86_400);
    }

    /// What an uploaded bundle may be.
    Bundles {
        /// The largest archive.
        max_upload: ByteSize = ByteSize::gib(4);
        /// The most files in one.
        max_entries: u32 = 20_000;
        /// The most its files may come to when unpacked.
        max_inflated: ByteSize = ByteSize::gib(8);
    }

    /// How updates run.
    Updates {
        /// How many run at a time.
        parallel: u32 = 8;
        /// How long new replicas may take to get healthy before the update fails.
        verify_timeout: Duration = Duration::from_secs(300);
        /// How long a test of a bundle may run before it has failed.
        test_timeout: Duration = Duration::from_secs(3_600);
        /// How many revisions of a deployment stay ready for a roll back.
        keep: u32 = 10;
    }

    /// Credentials for one image registry; the heading names its host, as in `[registry."ghcr.io"]`.
    Registry {
        /// The user.
        username: Option<String> = None, for example "\"robot\"";
        /// The password or token.
        password: Option<SecretString> = None;
    }

    /// A Kubernetes cluster that infrastructures may name; the heading gives its name, as in `[kubeconfig."prod"]`.
    Kubeconfig {
        /// The kubeconfig, read at the start: a token or a client certificate in it, no programs and no other files.
        file: Option<PathBuf> = None, for example "\"/etc/slipway/prod.kubeconfig\"";
        /// The context that counts; its current one when left out.
        context: Option<String> = None, for example "\"prod\"";
    }

    /// Who may ask for /healthz, /readyz and /metrics, which take no sign-in.
    Metrics {
        /// Ranges of addresses; loopback and private networks when left out.
        allow: Vec<Cidr> = private_networks();
    }

    /// The local Docker engine, infrastructure `local` of a new Slipway.
    Docker {
        /// The engine's socket.
        host: String = "unix:///var/run/docker.sock".into();
        /// The host address that published ports bind to where a service names none.
        publish_address: IpAddr = Ipv4Addr::LOCALHOST.into();
        /// Each workload's network is a /26 of this range.
        network_pool: Cidr = cidr("10.201.0.0/16");
    }

    /// Pipelines and their deployments (DataCater), where they say nothing themselves.
    Datacater {
        /// Where deployments run that name no infrastructure and whose pipeline names none.
        default_infrastructure: InfrastructureId = local();
        /// The image of pipelines that name none.
        image: String = Defaults::default().image;
        /// The port on which a pipeline's image answers for its health and metrics.
        port: u16 = Defaults::default().port;
        /// Where it answers for its health.
        health_path: String = Defaults::default().health_path;
        /// Where it answers with its metrics.
        metrics_path: String = Defaults::default().metrics_path;
        /// How long it may take to answer.
        answer_timeout: Duration = Duration::from_secs(10);
        /// How often the running ones are asked for their health, 1s at least: 500 and more makes the deployment UNHEALTHY.
        health_interval: Duration = Duration::from_secs(10);
    }

    /// renga-deployer's API below /v1: what its engines' names mean, and whose tokens it takes. API keys it takes anyway.
    Renga {
        /// The infrastructure that the engine `docker` means.
        docker: InfrastructureId = local();
        /// The infrastructure that the engine `k8s` means; left out, there is no such engine.
        k8s: Option<InfrastructureId> = None, for example "\"prod\"";
        /// The issuer of the tokens; that of [oidc] when left out.
        issuer: Option<Issuer> = None, for example "\"https://id.example.org/realms/renga\"";
        /// The audience that a token must be issued for; those of [oidc] when left out.
        audience: Option<String> = None, for example "\"renga-deployer\"";
        /// The public key that signs them, as PEM, as its base64 alone or as a JWK (or a set of those); when left out, the
        /// keys that the issuer publishes.
        jwt_key: Option<SecretString> = None;
        /// The claim that holds a token's scopes: a text with spaces in between, or a list. A URL is a name, too.
        scope_claim: String = "scope".into();
        /// The claim that holds the groups; that of [oidc] when left out.
        groups_claim: Option<String> = None, for example "\"groups\"";
        /// Whether /v1/ui shows the description of the API to be tried.
        swagger_ui: bool = false;
        /// Whom executions run as where an infrastructure's profile is `restricted`, since a specification can't say it; left
        /// out, they are refused there.
        user: Option<UserId> = None, for example "\"1000:1000\"";
        /// What containers are told as DEPLOYER_BASE_URL where no ingress gives them a path of their own.
        base_url: String = "/".into();
        /// The host that an execution's ports are said to be at, on Docker; the address that they are bound to when left out.
        docker_host: Option<HostName> = None, for example "\"apps.example.org\"";
        /// The same on Kubernetes; the address of the node when left out.
        k8s_host: Option<HostName> = None, for example "\"apps.example.org\"";
        /// Namespaces that an execution may name besides `default` and an infrastructure's own, each with the infrastructure
        /// that is that namespace of the same cluster: who may deploy there may run there.
        namespaces: Vec<Namespace> = Vec::new(), for example "[\"team-b=prod-team-b\"]";
    }
}

impl Docker {
    /// The connection of infrastructure `local`.
    pub fn connection(&self) -> EngineConnection {
        EngineConnection::Docker {
            host: self.host.clone(),
            publish_address: self.publish_address,
            network_pool: self.network_pool.text(),
        }
    }
}

/// The infrastructure of a new Slipway.
fn local() -> InfrastructureId {
    InfrastructureId::parse("local").expect("the id written here is one")
}

fn cidr(text: &'static str) -> Cidr {
    Cidr::parse(text).expect("the ranges written here are ranges")
}

fn private_networks() -> Vec<Cidr> {
    ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7"].map(cidr).to_vec()
}
