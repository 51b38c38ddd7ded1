//! A wire between the browser and the server that can be cut and mended.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes on whatever comes, until it is cut.
pub struct Wire {
    /// Where the server is reached through it.
    pub base: String,
    is_cut: watch::Sender<bool>,
    work: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl Wire {
    /// To the server at this address, e.g. `http://127.0.0.1:40123`.
    pub async fn to(base: &str) -> Self {
        let server: SocketAddr = base.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (is_cut, cut) = watch::channel(false);
        let work = tokio::spawn(async move {
            while let Ok((browser, _)) = listener.accept().await {
                tokio::spawn(pass(browser, server, cut.clone()));
            }
        });
        Self { base, is_cut, work }
    }

    /// Every connection ends, and new ones end as soon as they come.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// New connections go through again.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn pass(mut browser: TcpStream, server: SocketAddr, mut cut: watch::Receiver<bool>) {
    let passing = async {
        if let Ok(mut server) = TcpStream::connect(server).await {
            let _ = copy_bidirectional(&mut browser, &mut server).await;
        }
    };
    tokio::select! {
        biased;
        _ = cut.wait_for(|cut| *cut) => {}
        () = passing => {}
    }
}
