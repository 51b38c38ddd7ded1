//! Settings as people type them: `NAME=value` a line, ports as Compose writes them, CPUs and MiB.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::domain::workload::{Port, Protocol};
use crate::domain::{Error, Problem, Result};

/// `NAME=value`, one a line; blank lines and lines that begin with `#` are left out. A value in double quotes is a JSON
/// string: that is how line ends and outer white space travel.
pub fn parse_environment(text: &str, place: &str) -> Result<BTreeMap<String, String>> {
    let mut environment = BTreeMap::new();
    let mut problems = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        match variable(line) {
            Ok((name, value)) => {
                environment.insert(name, value);
            }
            Err(message) => problems.push(Problem::new(place, format!("line {}: {message}", at + 1))),
        }
    }
    if problems.is_empty() { Ok(environment) } else { Err(Error::problems("invalid_input", problems)) }
}

fn variable(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once('=').ok_or("write NAME=value")?;
    let name = name.trim();
    let good = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if !good {
        return Err(format!(
            "{name:?} is no name of a variable: letters, digits and _, not starting with a digit"
        ));
    }
    let value = if value.starts_with('"') {
        serde_json::from_str(value.trim()).map_err(|_| "the quoted value is no JSON string".to_owned())?
    } else {
        value.to_owned()
    };
    Ok((name.to_owned(), value))
}

/// The inverse of [`parse_environment`].
pub fn show_environment(environment: &BTreeMap<String, String>) -> String {
    let line = |(name, value): (&String, &String)| {
        let plain = !value.contains(['\n', '\r']) && !value.starts_with('"') && value.trim() == value;
        if plain { format!("{name}={value}") } else { format!("{name}={}", serde_json::json!(value)) }
    };
    environment.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `[ip:][host:]container[/udp]`, one a line, as Compose writes them.
pub fn parse_ports(text: &str, place: &str) -> Result<Vec<Port>> {
    let mut ports = Vec::new();
    let mut problems = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match port(line) {
            Some(port) => ports.push(port),
            None => problems.push(
                Problem::new(place, format!("{line:?} is no port"))
                    .hint("Write 8080:80, 127.0.0.1:8080:80/tcp, or 80 for a free port of the host."),
            ),
        }
    }
    if problems.is_empty() { Ok(ports) } else { Err(Error::problems("invalid_input", problems)) }
}

fn port(text: &str) -> Option<Port> {
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, "tcp")) => (rest, Protocol::Tcp),
        Some((rest, "udp")) => (rest, Protocol::Udp),
        Some(_) => return None,
        None => (text, Protocol::Tcp),
    };
    let (before, container) = match rest.rsplit_once(':') {
        Some((before, container)) => (Some(before), container),
        None => (None, rest),
    };
    let container_port = number(container)?;
    let (host_ip, host_port) = match before {
        None => (None, None),
        Some(before) => match before.rsplit_once(':') {
            None => (None, Some(number(before)?)),
            Some((ip, "")) => (Some(address(ip)?), None),
            Some((ip, host)) => (Some(address(ip)?), Some(number(host)?)),
        },
    };
    Some(Port { container_port, protocol, host_port, host_ip })
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The inverse of [`parse_ports`].
pub fn show_ports(ports: &[Port]) -> String {
    let line = |port: &Port| {
        let ip = match port.host_ip {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:"),
            Some(ip) => format!("{ip}:"),
            None => String::new(),
        };
        let host = match (port.host_port, &ip) {
            (Some(host), _) => format!("{host}:"),
            (None, ip) if !ip.is_empty() => ":".to_owned(),
            (None, _) => String::new(),
        };
        let protocol = if port.protocol == Protocol::Udp { "/udp" } else { "" };
        format!("{ip}{host}{}{protocol}", port.container_port)
    };
    ports.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// CPUs such as `0.5` as thousandths.
pub fn parse_cpus(text: &str, place: &str) -> Result<Option<u32>> {
    if text.is_empty() {
        return Ok(None);
    }
    let cpus: f64 = text.parse().unwrap_or(f64::NAN);
    if !(0.001..=4096.0).contains(&cpus) {
        return Err(Error::field(place, format!("{text:?} is no number of CPUs such as 0.5 or 2")));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was just checked")]
    Ok(Some((cpus * 1000.0).round() as u32))
}

/// The inverse of [`parse_cpus`].
pub fn show_cpus(milli: Option<u32>) -> String {
    milli.map(|milli| format!("{}", f64::from(milli) / 1000.0)).unwrap_or_default()
}

/// MiB as bytes.
pub fn parse_mebibytes(text: &str, place: &str) -> Result<Option<u64>> {
    if text.is_empty() {
        return Ok(None);
    }
    let mebibytes: u64 = text.parse().unwrap_or(0);
    if !(1..=1 << 24).contains(&mebibytes) {
        return Err(Error::field(place, format!("{text:?} is no whole number of MiB, 4 or more")));
    }
    Ok(Some(mebibytes << 20))
}

/// The inverse of [`parse_mebibytes`], rounded up where a JSON view gave odd bytes.
pub fn show_mebibytes(bytes: Option<u64>) -> String {
    bytes.map(|bytes| bytes.div_ceil(1 << 20).to_string()).unwrap_or_default()
}

/// A whole number, or nothing.
pub fn parse_count(text: &str, place: &str, what: &str) -> Result<Option<u32>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| Error::field(place, format!("{text:?} is no number of {what}"));
    text.parse().map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_travel_both_ways() {
        let text = "A=1\nB=\nPEM=\"a\\nb\"\nURL=http://x/?a=b\nQ=\"\\\"quoted\\\"\"";
        let parsed = parse_environment(text, "environment").unwrap();
        assert_eq!(parsed["PEM"], "a\nb");
        assert_eq!(parsed["URL"], "http://x/?a=b");
        assert_eq!(parsed["Q"], "\"quoted\"");
        assert_eq!(parse_environment(&show_environment(&parsed), "environment").unwrap(), parsed);
        let error = parse_environment("ok=1\nno\n9X=1", "environment").unwrap_err();
        assert_eq!(error.problems.len(), 2);
        assert!(error.problems[0].message.starts_with("line 2"));
    }

    #[test]
    fn ports_travel_both_ways() {
        let text = "8080:80\n80\n127.0.0.1:53:53/udp\n[::1]:8443:443\n127.0.0.1::9000";
        let ports = parse_ports(text, "ports").unwrap();
        assert_eq!(show_ports(&ports), text);
        for bad in ["0", "80:", "x:80", "80/sctp", "1.2.3:80:80", "70000"] {
            assert!(parse_ports(bad, "ports").is_err(), "{bad}");
        }
    }

    #[test]
    fn cpus_and_memory_are_bounded() {
        assert_eq!(parse_cpus("0.5", "c").unwrap(), Some(500));
        assert_eq!(show_cpus(Some(1500)), "1.5");
        assert!(parse_cpus("-1", "c").is_err());
        assert!(parse_cpus("NaN", "c").is_err());
        assert_eq!(parse_mebibytes("512", "m").unwrap(), Some(512 << 20));
        assert!(parse_mebibytes("0", "m").is_err());
    }
}
