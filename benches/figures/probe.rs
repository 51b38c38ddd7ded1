//! What only the benches ask of a running Slipway.

use crate::house::House;

/// Resident memory of the server in MB.
pub fn memory(house: &House) -> f64 {
    megabytes(house, "VmRSS:")
}

/// The most resident memory since [`forget_peak`], in MB.
pub fn peak(house: &House) -> f64 {
    megabytes(house, "VmHWM:")
}

/// Begins a new peak.
pub fn forget_peak(house: &House) {
    std::fs::write(format!("/proc/{}/clear_refs", pid(house)), "5").expect("/proc can be written");
}

fn pid(house: &House) -> u32 {
    house.child.as_ref().expect("it runs").id()
}

fn megabytes(house: &House, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", pid(house))).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// A GET as raw text, for loads.
pub fn get(house: &House, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n", house.address, house.key)
}
