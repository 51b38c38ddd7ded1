//! What only the benches ask of a running Slipway.

use crate::house::House;

/// Resident memory of the server in MB.
pub fn memory(house: &House) -> f64 {
    let pid = house.child.as_ref().expect("it runs").id();
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// A GET as raw text, for loads.
pub fn get(house: &House, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n", house.address, house.key)
}
