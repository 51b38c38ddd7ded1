//! The one provider of cryptography for TLS. With two in the program rustls would panic at the first connection, so
//! every client and server names this one first.

/// Makes ring the process's provider; repeating it changes nothing.
pub fn install() {
    // It fails only when one is installed already, and nothing here installs another.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
