//! `slipway healthcheck`: for a container's health check and for scripts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::config::Config;
use crate::domain::{Error, Kind, Result};

const PATIENCE: Duration = Duration::from_secs(5);

/// Asks `/readyz` of the server that this configuration describes.
///
/// # Errors
/// `not_ready` when nobody answers, or not with ready.
pub async fn run(config: Config) -> Result<()> {
    let base = config.server.base_url.as_ref().map_or("", |url| url.path());
    let url = format!("http://{}{base}/readyz", reachable(config.server.listen));
    let client =
        reqwest::Client::builder().timeout(PATIENCE).no_proxy().redirect(reqwest::redirect::Policy::none());
    // Its address is our own: no certificate is ever looked at.
    crate::tls::install();
    let client = client.build().map_err(Error::internal)?;
    let answer = client.get(&url).send().await;
    let answer = answer.map_err(|error| not_ready(format!("{url} does not answer")).because(error))?;
    if answer.status().is_success() {
        return super::print("ready\n");
    }
    Err(not_ready(format!("{url} answers {}", answer.status())))
}

/// Where a server that listens on `address` is reached from this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn not_ready(message: String) -> Error {
    Error::new(Kind::Unavailable, "not_ready", message)
        .hint("Is `slipway serve` running with this configuration? Its log says more.")
}
