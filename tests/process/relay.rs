//! A wire between the guard and its node that can be cut, and on which a liar can speak.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Passes bytes on, both ways, until it is told to do worse.
pub(crate) struct Relay {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The next message from the node ends in its middle, and the connection with it.
    cuts_next: bool,
    /// Nothing passes any more, and nothing ends: connections stand, and new ones are taken, in silence.
    is_frozen: bool,
    /// The guard's end of the connection that stands.
    guard: Option<TcpStream>,
}

/// How soon a frozen wire is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Relay {
    /// Listens on a port of its own for a node at `ws://127.0.0.1:PORT`.
    pub(crate) fn before(node: &str) -> Self {
        let target = node.strip_prefix("ws://").expect("a plain address").to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = format!("ws://{}", listener.local_addr().expect("it is bound"));
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for guard in listener.incoming().map_while(Result::ok) {
                let Ok(node) = TcpStream::connect(&target) else { continue };
                let (Ok(from_guard), Ok(to_node)) = (guard.try_clone(), node.try_clone()) else {
                    continue;
                };
                shared.lock().expect("nobody panics here").guard = guard.try_clone().ok();
                let waits = Arc::clone(&shared);
                std::thread::spawn(move || pass(from_guard, to_node, &waits));
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || pass_or_cut(node, guard, &shared));
            }
        });
        Self { address, state }
    }

    /// Where the guard is to connect.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Cuts the connection in the middle of the node's next message.
    pub(crate) fn cut_next_message(&self) {
        self.state.lock().expect("nobody panics here").cuts_next = true;
    }

    /// Lets nothing pass until it is told to.
    pub(crate) fn freeze(&self) {
        self.state.lock().expect("nobody panics here").is_frozen = true;
    }

    /// Lets pass again what comes, and what has waited.
    pub(crate) fn thaw(&self) {
        self.state.lock().expect("nobody panics here").is_frozen = false;
    }

    /// Says these texts to the guard, as if the node did.
    pub(crate) fn say(&self, texts: &[String]) {
        let frames: Vec<u8> = texts.iter().flat_map(|text| frame(text.as_bytes())).collect();
        // Held while it speaks, so that no message of the node's comes in between.
        let mut state = self.state.lock().expect("nobody panics here");
        let guard = state.guard.as_mut().expect("the guard is connected");
        guard.write_all(&frames).ok();
    }
}

fn wait_while_frozen(state: &Mutex<State>) {
    while state.lock().expect("nobody panics here").is_frozen {
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, state: &Mutex<State>) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        wait_while_frozen(state);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

fn pass_or_cut(mut node: TcpStream, mut guard: TcpStream, state: &Mutex<State>) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = node.read(&mut buffer) {
        wait_while_frozen(state);
        let mut state = state.lock().expect("nobody panics here");
        // An answer that follows a handshake is longer than a control frame.
        if length > 64 && std::mem::take(&mut state.cuts_next) {
            guard.write_all(&buffer[..length / 2]).ok();
            break;
        }
        if guard.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    guard.shutdown(Shutdown::Both).ok();
    node.shutdown(Shutdown::Both).ok();
}

/// One unmasked text frame (RFC 6455, section 5.2).
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        length @ ..126 => frame.push(length as u8),
        length @ 126..65_536 => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}
