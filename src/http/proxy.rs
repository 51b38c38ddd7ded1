//! Who is at the other end: the peer, or what a trusted proxy says of it.

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use ipnet::IpNet;

/// The client's address. `X-Forwarded-For` is read from its right end, and only as long as the next hop is trusted.
pub fn client_address(head: &RequestHead, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = head.peer_addr?.ip();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer;
    let hops = head.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let listed: Vec<&str> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in listed.into_iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        match hop.parse() {
            Ok(address) => client = address,
            Err(_) => break,
        }
    }
    Some(client)
}
