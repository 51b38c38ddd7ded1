//! Kinds of values that the configuration alone has.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::config::value::{Scalar, Written};
use crate::domain::cluster::is_dns_label;
use crate::domain::name::InfrastructureId;

/// A range of addresses: `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr(IpNet);

impl Cidr {
    /// The range itself.
    pub fn net(self) -> IpNet {
        self.0
    }

    /// Whether `address` lies in it; an IPv4 address in IPv6 dress counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl Scalar for Cidr {
    const EXPECTED: &'static str = "a range of addresses such as \"10.0.0.0/8\", or one address";
    fn parse(text: &str) -> Result<Self, String> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(|net| Self(net.trunc())).map_err(|_| String::new())
    }
    fn text(&self) -> String {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return self.0.addr().to_string();
        }
        self.0.to_string()
    }
}

/// A namespace's name, and the infrastructure that is that namespace: `team-b=prod-team-b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    pub name: String,
    pub infrastructure: InfrastructureId,
}

impl Scalar for Namespace {
    const EXPECTED: &'static str = "a namespace and its infrastructure, such as \"team-b=prod-team-b\"";
    fn parse(text: &str) -> Result<Self, String> {
        let (name, infrastructure) = text.split_once('=').ok_or_else(String::new)?;
        let infrastructure = InfrastructureId::parse(infrastructure.trim()).map_err(|error| error.message)?;
        let name = name.trim();
        if name == "default" || !is_dns_label(name) {
            return Err(format!("{name:?} is no namespace that can be given a meaning"));
        }
        Ok(Self { name: name.to_owned(), infrastructure })
    }
    fn text(&self) -> String {
        format!("{}={}", self.name, self.infrastructure)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    const UNITS: [(&'static str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

    /// `count` GiB.
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }
    /// `count` MiB.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }
}

impl Scalar for ByteSize {
    const EXPECTED: &'static str = "a size such as \"512 MiB\", \"4 GiB\" or a number of bytes";
    const WRITTEN: Written = Written::Either;
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let unit = Self::UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
        let (number, shift) = unit.unwrap_or((text, 0));
        let number: u64 = number.trim().parse().map_err(|_| String::new())?;
        number
            .checked_mul(1 << shift)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is more than can be counted"))
    }
    fn text(&self) -> String {
        let unit = Self::UNITS.iter().find(|(_, shift)| self.0 > 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((unit, shift)) => format!("{} {unit}", self.0 >> shift),
            None => self.0.to_string(),
        }
    }
}

/// Where the console is reached: a scheme, a host, and perhaps a sub-path; never with a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// The URL itself.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The sub-path: empty, or `/tools/slipway`.
    pub fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// The URL without a slash at its end.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// `https://slipway.example.org`: scheme, host and port, as browsers send it.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The address of `path` (which starts with a slash) below this one.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.as_str())
    }

    /// Whether browsers reach it encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it names this very machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

impl Scalar for BaseUrl {
    const EXPECTED: &'static str =
        "a URL such as \"https://slipway.example.org\" or \"https://example.org/slipway\"";
    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| String::new())?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(format!("{text:?} starts neither with http:// nor with https://"));
        }
        if url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return Err(format!("{text:?} has more than scheme, host and path"));
        }
        Ok(Self(url))
    }
    fn text(&self) -> String {
        self.as_str().to_owned()
    }
}

/// Whether a URL's host is this very machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// The provider's issuer, kept letter by letter: it is compared exactly, a slash at its end included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Scalar for Issuer {
    const EXPECTED: &'static str =
        "the provider's issuer, an https URL such as \"https://id.example.org/realms/data\"";
    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| String::new())?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{text:?} has a query or a fragment"));
        }
        match url.scheme() {
            "https" => Ok(Self(text.to_owned())),
            "http" if is_loopback(&url) => Ok(Self(text.to_owned())),
            "http" => Err(format!("{text:?} is not encrypted, which is taken for this very machine alone")),
            _ => Err(String::new()),
        }
    }
    fn text(&self) -> String {
        self.0.clone()
    }
}

/// A host by its name or address, without scheme, port or path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Scalar for HostName {
    const EXPECTED: &'static str = "a host such as \"apps.example.org\" or \"192.0.2.7\"";
    fn parse(text: &str) -> Result<Self, String> {
        let is_address = text.parse::<IpAddr>().is_ok();
        let is_name = || matches!(Host::parse(text), Ok(Host::Domain(name)) if name == text);
        if is_address || is_name() { Ok(Self(text.to_owned())) } else { Err(String::new()) }
    }
    fn text(&self) -> String {
        self.0.clone()
    }
}

/// Whom a container runs as, in numbers, and not root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserId(String);

impl UserId {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Scalar for UserId {
    const EXPECTED: &'static str =
        "a user, or user and group, as numbers other than 0, such as \"1000:1000\"";
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':').map(|part| part.parse::<u32>().is_ok_and(|id| id > 0));
        let is_user = parts.next() == Some(true) && parts.next().unwrap_or(true) && parts.next().is_none();
        if is_user { Ok(Self(text.to_owned())) } else { Err(String::new()) }
    }
    fn text(&self) -> String {
        self.0.clone()
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $expected:literal { $($(#[$inner:meta])* $variant:ident = $word:literal),* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$inner])* $variant),* }
        impl Scalar for $name {
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Result<Self, String> {
                match text { $($word => Ok(Self::$variant),)* _ => Err(String::new()) }
            }
            fn text(&self) -> String {
                match self { $(Self::$variant => $word.into()),* }
            }
        }
    };
}

choice! {
    /// How log lines look.
    LogFormat, "\"text\" or \"json\"" { Text = "text", Json = "json" }
}
choice! {
    /// Where the groups claim is looked for.
    GroupsSource, "\"auto\", \"id_token\" or \"userinfo\"" {
        /// In the ID token, else in userinfo.
        Auto = "auto", IdToken = "id_token", Userinfo = "userinfo"
    }
}

/// What is logged, in the directives of `tracing`: `info`, or `info,slipway::reconcile=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel(pub String);

impl Scalar for LogLevel {
    const EXPECTED: &'static str = "a level (\"error\", \"warn\", \"info\", \"debug\", \"trace\") or directives such as \"info,slipway::reconcile=debug\"";
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(String::new());
        }
        tracing_subscriber::EnvFilter::try_new(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
    fn text(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_addresses_in_either_dress() {
        let range = Cidr::parse("10.1.2.3/8").unwrap();
        assert_eq!(range.text(), "10.0.0.0/8");
        assert!(range.contains("10.200.0.1".parse().unwrap()));
        assert!(range.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!range.contains("11.0.0.1".parse().unwrap()));
        assert_eq!(Cidr::parse("::1").unwrap().text(), "::1");
        assert!(Cidr::parse("10.0.0.0/33").is_err());
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_more() {
        for good in ["apps.example.org", "localhost", "192.0.2.7", "2001:db8::1"] {
            assert_eq!(HostName::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "http://apps.example.org", "apps.example.org:80", "apps.example.org/x", "a b", "[::1]"]
        {
            assert!(HostName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sizes_are_read_and_shown_alike() {
        for (text, bytes) in [("4 GiB", 4 << 30), ("512 MiB", 512 << 20), ("1000", 1000), ("0", 0)] {
            assert_eq!(ByteSize::parse(text).unwrap(), ByteSize(bytes));
            assert_eq!(ByteSize(bytes).text(), text);
        }
        for bad in ["", "4 GB", "-1", "99999999999 TiB"] {
            assert!(ByteSize::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_base_url_keeps_its_sub_path() {
        let url = BaseUrl::parse("https://example.org/tools/slipway/").unwrap();
        assert_eq!(url.path(), "/tools/slipway");
        assert_eq!(url.origin(), "https://example.org");
        assert_eq!(url.join("/auth/callback"), "https://example.org/tools/slipway/auth/callback");
        assert_eq!(BaseUrl::parse("https://example.org").unwrap().path(), "");
        for bad in ["example.org", "ftp://example.org", "https://example.org/?a=b", "https://a@b.c", "data:x"]
        {
            assert!(BaseUrl::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_plain_issuer_is_taken_on_loopback_alone() {
        for good in
            ["https://id.example.org", "http://127.0.0.1:9500", "http://localhost:9500/", "http://[::1]/x"]
        {
            assert_eq!(Issuer::parse(good).unwrap().as_str(), good);
        }
        for bad in ["http://id.example.org", "http://127.0.0.1.example.org", "https://a?b", "id.example.org"]
        {
            assert!(Issuer::parse(bad).is_err(), "{bad:?}");
        }
    }
}
