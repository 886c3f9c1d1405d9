//! The control socket: whoever may open the file may look at the running guard. It answers, and changes nothing: what
//! could be asked here to pause, or to stop pausing, would be a second way to the key.

use std::{
    io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::metrics::Board;

/// Longest request with its end of line, bytes.
const REQUEST_LIMIT_BYTES: usize = 64;
/// Connections at the same time; more wait in the system's own queue.
const CONNECTIONS: usize = 8;
/// How long a client may take over its request, and again over its answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that is there for its owner alone; its file goes with it.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Listens at `path`. A socket that nobody listens at any more is replaced; anything else is left alone.
    ///
    /// # Errors
    /// Something else stands there, another guard listens there, or the system refuses.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                let what = "there is something else than a socket, which is not replaced";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
            }
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another guard listens there",
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // Made where nobody else can reach, given its mode, and only then put in its place: at no moment is it open.
        let folder = path.with_file_name(format!(".portcullis-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let made = Self::make(&folder.join("s"), path);
        let removed = std::fs::remove_dir(&folder);
        let made = made?;
        removed?;
        Ok(made)
    }

    fn make(at: &Path, path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(at)?;
        let placed = std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o600))
            .and_then(|()| std::fs::rename(at, path));
        if let Err(error) = placed {
            std::fs::remove_file(at)?;
            return Err(error);
        }
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Answers until it is stopped.
    pub(super) async fn serve(self, board: Arc<Board>, mut stop: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut clients = JoinSet::new();
        loop {
            let taken = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = clients.join_next() => continue,
                taken = self.take(&room) => taken,
            };
            match taken {
                Ok((stream, place)) => {
                    let board = Arc::clone(&board);
                    clients.spawn(async move {
                        answer(stream, &board).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(target: "watcher::daemon", %error, "control connection not taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn take(
        &self,
        room: &Arc<Semaphore>,
    ) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, place))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // It may have been taken away, or replaced by another guard's, which then goes on under its open end.
        drop(std::fs::remove_file(&self.path));
    }
}

/// One request, one answer, and the connection ends.
async fn answer(mut stream: UnixStream, board: &Board) {
    let answer = match timeout(CLIENT_TIMEOUT, read(&mut stream)).await {
        Ok(Ok(Request::Top)) => serde_json::to_string(&board.top()).unwrap_or_default(),
        Ok(Err(problem)) => error(problem),
        Err(_) => error("no request came in time"),
    };
    let writing = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(b"\n").await?;
        stream.shutdown().await
    };
    // A client that went away, or takes too long, has no answer to get.
    drop(timeout(CLIENT_TIMEOUT, writing).await);
}

fn error(problem: &str) -> String {
    serde_json::json!({ "error": problem }).to_string()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// How the guard stands.
    Top,
}

async fn read(stream: &mut UnixStream) -> Result<Request, &'static str> {
    let mut line = Vec::with_capacity(REQUEST_LIMIT_BYTES);
    let mut part = [0; REQUEST_LIMIT_BYTES];
    loop {
        let length = stream.read(&mut part).await.map_err(|_| "the request cannot be read")?;
        line.extend_from_slice(&part[..length]);
        if let Some(request) = request(&line, length == 0)? {
            return Ok(request);
        }
    }
}

/// The request in a line; none while the line is not whole.
fn request(line: &[u8], is_over: bool) -> Result<Option<Request>, &'static str> {
    let end = line.iter().position(|byte| *byte == b'\n');
    if end.unwrap_or(line.len()) >= REQUEST_LIMIT_BYTES {
        return Err("the request is too long");
    }
    match end {
        Some(end) if line.get(..end) == Some(b"top") => Ok(Some(Request::Top)),
        Some(_) => Err("unknown request; expected `top`"),
        None if is_over => Err("the request has no end of line"),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_request_is_answered_and_it_is_short() {
        assert_eq!(request(b"top\n", false), Ok(Some(Request::Top)));
        assert_eq!(request(b"top\nmore", false), Ok(Some(Request::Top)));
        assert_eq!(request(b"to", false), Ok(None));
        assert!(request(b"top", true).is_err(), "cut");
        for text in ["pause\n", "TOP\n", "top \n", "\n", "reload\n", "\u{0}\n"] {
            assert!(request(text.as_bytes(), false).is_err(), "{text:?}");
        }
        assert!(request(&[b'x'; REQUEST_LIMIT_BYTES], false).is_err());
        assert!(request(&[&[b'x'; 200][..], b"\n"].concat(), false).is_err());
    }

    #[tokio::test]
    async fn the_file_is_its_owners_alone_and_nothing_else_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guard.sock");
        let control = Control::listen(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        let second = Control::listen(&path).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(control);
        assert!(!path.exists());

        // One that was killed leaves its socket; a file of another kind is somebody's.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(Control::listen(&path).unwrap());
        std::fs::write(&path, "mine").unwrap();
        assert!(Control::listen(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
