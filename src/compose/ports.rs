//! `ports` and `expose`, in both syntaxes, ranges included.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use crate::compose::Context;
use crate::compose::field::{Field, Table};
use crate::compose::unsupported::PORT;
use crate::domain::workload::{Port, Protocol};

const SHORT: &str =
    "Write `\"8000\"`, `\"8080:8000\"` or `\"127.0.0.1:8080:8000/tcp\"`, ports from 1 to 65535.";
/// Published ports of one service; a range counts each.
const MOST: usize = 100;

/// The published ports of the service `table`.
pub fn published(table: &Table<'_>, cx: &mut Context<'_>) -> Vec<Port> {
    let Some(field) = table.get("ports") else {
        return Vec::new();
    };
    let mut ports: Vec<Port> = Vec::new();
    let mut seen = HashSet::new();
    for item in field.items("`- \"8080:8000\"`", &mut cx.report).unwrap_or_default() {
        let found = if item.is_map() { long(&item, cx) } else { short(&item, cx) };
        for port in found.unwrap_or_default() {
            if ports.len() >= MOST {
                field.refuse(
                    &mut cx.report,
                    format!("more than {MOST} ports are published"),
                    "Publish fewer.",
                );
                return ports;
            }
            if seen.insert((port.container_port, port.protocol, port.host_port, port.host_ip)) {
                ports.push(port);
            } else {
                let what = format!("port {} is published twice in the same way", port.container_port);
                item.refuse(&mut cx.report, what, "Remove one of the two.");
            }
        }
    }
    ports
}

fn short(item: &Field<'_>, cx: &mut Context<'_>) -> Option<Vec<Port>> {
    let text = item.filled(&mut cx.report)?;
    match parse(text) {
        Ok(ports) => Some(ports),
        Err((what, hint)) => {
            item.refuse(&mut cx.report, format!("{text:?} {what}"), hint);
            None
        }
    }
}

type Refusal = (String, &'static str);

/// `[[ip:][host]:]container[/protocol]`.
fn parse(text: &str) -> Result<Vec<Port>, Refusal> {
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, word)) => (rest, protocol(word)?),
        None => (text, Protocol::Tcp),
    };
    let (host, container) = match rest.rsplit_once(':') {
        Some((host, container)) => (Some(host), container),
        None => (None, rest),
    };
    let (host_ip, host) = match host.and_then(|host| host.rsplit_once(':')) {
        Some((ip, host)) => (Some(address(ip)?), Some(host)),
        None => (None, host),
    };
    let container = range(container)?;
    let host = host.filter(|host| !host.is_empty()).map(range).transpose()?;
    expand(container, host, host_ip, protocol)
}

fn expand(
    container: (u16, u16),
    host: Option<(u16, u16)>,
    host_ip: Option<IpAddr>,
    protocol: Protocol,
) -> Result<Vec<Port>, Refusal> {
    let count = |(from, to): (u16, u16)| usize::from(to - from) + 1;
    if let Some(host) = host
        && count(host) != count(container)
    {
        let what = format!("has {} ports of the host for {} of the container", count(host), count(container));
        return Err((
            what,
            "Write two ranges of one length, or leave the host's port out: the engine chooses one then.",
        ));
    }
    let port = |at: u16| Port {
        container_port: container.0 + at,
        protocol,
        host_port: host.map(|(from, _)| from + at),
        host_ip,
    };
    Ok((0..=container.1 - container.0).map(port).collect())
}

fn number(text: &str) -> Result<u16, Refusal> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok(number),
        _ => Err((format!("has {text:?} where a port is due"), SHORT)),
    }
}

fn range(text: &str) -> Result<(u16, u16), Refusal> {
    let Some((from, to)) = text.split_once('-') else {
        let one = number(text)?;
        return Ok((one, one));
    };
    match (number(from)?, number(to)?) {
        (from, to) if from <= to => Ok((from, to)),
        (from, to) => Err((format!("has a range from {from} down to {to}"), "Write the lower port first.")),
    }
}

fn protocol(word: &str) -> Result<Protocol, Refusal> {
    match word.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        _ => Err((format!("has the protocol {word:?}"), "Write tcp or udp.")),
    }
}

fn address(text: &str) -> Result<IpAddr, Refusal> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| (format!("has {text:?} where an IP address is due"), SHORT))
}

fn long(item: &Field<'_>, cx: &mut Context<'_>) -> Option<Vec<Port>> {
    let table = item.table(&PORT, &mut cx.report)?;
    let target = table.need("target", "Write the container's port: `target: 8000`.", &mut cx.report)?;
    let target = checked(&target, cx, number)?;
    let published = match table.get("published") {
        Some(field) => Some(checked(&field, cx, range)?),
        None => None,
    };
    let host_ip = match table.get("host_ip") {
        Some(field) => Some(checked(&field, cx, address)?),
        None => None,
    };
    let protocol = match table.get("protocol") {
        Some(field) => checked(&field, cx, protocol)?,
        None => Protocol::Tcp,
    };
    if let Some(field) = table.get("mode")
        && field.text(&mut cx.report).is_some_and(|mode| !matches!(mode, "ingress" | "host"))
    {
        field.refuse(
            &mut cx.report,
            "this is no mode of a port",
            "Remove the key: each port is published one way.",
        );
    }
    match expand((target, target), published, host_ip, protocol) {
        Ok(ports) => Some(ports),
        Err((what, hint)) => {
            table.refuse(&mut cx.report, what, hint);
            None
        }
    }
}

fn checked<T>(field: &Field<'_>, cx: &mut Context<'_>, parse: fn(&str) -> Result<T, Refusal>) -> Option<T> {
    match parse(field.filled(&mut cx.report)?) {
        Ok(value) => Some(value),
        Err((what, hint)) => {
            field.refuse(&mut cx.report, format!("it {what}"), hint);
            None
        }
    }
}

/// The ports of `expose`, which only peers reach.
pub fn exposed(table: &Table<'_>, cx: &mut Context<'_>) -> BTreeSet<u16> {
    let Some(field) = table.get("expose") else {
        return BTreeSet::new();
    };
    let mut ports = BTreeSet::new();
    for item in field.items("`- \"8000\"`", &mut cx.report).unwrap_or_default() {
        let Some(text) = item.filled(&mut cx.report) else {
            continue;
        };
        let bare = text.strip_suffix("/tcp").unwrap_or(text);
        match range(bare) {
            Ok((from, to)) if usize::from(to - from) < MOST => ports.extend(from..=to),
            Ok(_) => item.refuse(
                &mut cx.report,
                format!("more than {MOST} ports are exposed"),
                "Name those in use.",
            ),
            Err((what, _)) => {
                let hint = "Write `\"8000\"` or `\"8000-8010\"`: ports for peers, TCP, from 1 to 65535.";
                item.refuse(&mut cx.report, format!("{text:?} {what}"), hint);
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Result<Vec<String>, String> {
        let one = |port: Port| {
            let host = port.host_port.map_or("auto".to_owned(), |port| port.to_string());
            let ip = port.host_ip.map_or(String::new(), |ip| format!("{ip} "));
            format!("{ip}{host} -> {} {:?}", port.container_port, port.protocol)
        };
        parse(text).map(|ports| ports.into_iter().map(one).collect()).map_err(|(what, _)| what)
    }

    #[test]
    fn the_short_syntax() {
        for (text, expected) in [
            ("8000", vec!["auto -> 8000 Tcp"]),
            ("8080:80", vec!["8080 -> 80 Tcp"]),
            ("53:53/udp", vec!["53 -> 53 Udp"]),
            ("127.0.0.1:8080:80/tcp", vec!["127.0.0.1 8080 -> 80 Tcp"]),
            ("127.0.0.1::80", vec!["127.0.0.1 auto -> 80 Tcp"]),
            ("[::1]:8080:80", vec!["::1 8080 -> 80 Tcp"]),
            ("3000-3001", vec!["auto -> 3000 Tcp", "auto -> 3001 Tcp"]),
            ("9000-9001:8000-8001", vec!["9000 -> 8000 Tcp", "9001 -> 8001 Tcp"]),
        ] {
            assert_eq!(show(text), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for (text, why) in [
            ("0", "where a port is due"),
            ("65536", "where a port is due"),
            ("+80", "where a port is due"),
            ("http", "where a port is due"),
            ("80:", "where a port is due"),
            ("80/sctp", "protocol"),
            ("8000-9000:80", "1001 ports of the host for 1"),
            ("9-8", "down to"),
            ("localhost:80:80", "IP address"),
            ("1.2.3.4.5:80:80", "IP address"),
        ] {
            assert!(show(text).unwrap_err().contains(why), "{text}: {:?}", show(text));
        }
    }
}
