//! Which /26 of the pool a new network gets: arithmetic over IPv4 ranges, no calls.

use std::net::Ipv4Addr;

use crate::engine::{EngineError, EngineResult};

/// The prefix of a workload's network: 61 containers and a gateway.
const PREFIX: u8 = 26;

/// An IPv4 range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// `a.b.c.d/n`; the address may lie anywhere inside. `None` for IPv6 and for what is no range.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/')?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
        let address: Ipv4Addr = address.parse().ok()?;
        let base = u32::from(address) & mask(prefix);
        Some(Self { base, prefix })
    }

    fn overlaps(self, other: Self) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.base & shorter == other.base & shorter
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

/// The range that networks are cut from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool(Subnet);

impl Pool {
    /// A range of at least one /26.
    pub(super) fn parse(text: &str) -> EngineResult<Self> {
        let range = Subnet::parse(text).filter(|range| range.prefix <= PREFIX);
        range.map(Self).ok_or_else(|| {
            let what = format!(
                "the network pool {text:?}: name an IPv4 range of /{PREFIX} or more, e.g. 10.201.0.0/16"
            );
            EngineError::Unsupported(what)
        })
    }

    /// The parts of the pool that overlap with nothing in `taken`, lowest first.
    pub(super) fn free(self, taken: &[Subnet]) -> impl Iterator<Item = Subnet> {
        let count = 1_u32 << (PREFIX - self.0.prefix);
        let parts = (0..count)
            .map(move |number| Subnet { base: self.0.base + (number << (32 - PREFIX)), prefix: PREFIX });
        parts.filter(|part| !taken.iter().any(|other| part.overlaps(*other)))
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The ranges in a Linux routing table (`/proc/net/route`), its default route left out.
pub(super) fn routes(table: &str) -> Vec<Subnet> {
    let range = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let base = u32::from_str_radix(fields.next()?, 16).ok()?.swap_bytes();
        let mask = u32::from_str_radix(fields.nth(5)?, 16).ok()?.swap_bytes();
        let prefix = u8::try_from(mask.count_ones()).ok()?;
        (prefix > 0).then_some(Subnet { base, prefix })
    };
    table.lines().skip(1).filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        Subnet::parse(text).unwrap()
    }

    #[test]
    fn the_first_free_part_is_taken() {
        let pool = Pool::parse("10.201.0.0/16").unwrap();
        let first = |taken: &[Subnet]| pool.free(taken).next().map(|part| part.to_string());
        assert_eq!(first(&[]).as_deref(), Some("10.201.0.0/26"));
        assert_eq!(first(&[subnet("10.201.0.0/26")]).as_deref(), Some("10.201.0.64/26"));
        assert_eq!(first(&[subnet("10.201.0.7/24")]).as_deref(), Some("10.201.1.0/26"));
        assert_eq!(first(&[subnet("10.0.0.0/8")]), None);
        assert_eq!(pool.free(&[]).count(), 1024);
        assert_eq!(Pool::parse("10.201.0.64/26").unwrap().free(&[]).count(), 1);
    }

    #[test]
    fn a_pool_is_a_range_that_holds_a_network() {
        for bad in ["", "10.0.0.0", "10.0.0.0/27", "fd00::/8", "10.0.0.0/33"] {
            assert!(Pool::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn routes_of_the_host_are_read() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     vpn0\t0000C90A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(routes(table), [subnet("10.201.0.0/16")]);
    }
}
