//! A small hub on the loopback: serves folders as repositories, as the real hub answers, and misbehaves on request.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Files of this size and more lie elsewhere, as those that git does not hold: the hub only points there.
const LARGE_BYTES: usize = 100_000;

/// The commit that every revision of the served repositories has.
pub const COMMIT: &str = "1d0c2b3a4f5e6d7c8b9a0f1e2d3c4b5a69788796";

/// What the server does wrong, in the answers to requests for the content of large files.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    /// Content is cut after so many bytes, in so many answers.
    pub cut: Option<(usize, usize)>,
    /// So many answers have a wrong byte.
    pub damaged: usize,
    /// Sends nothing after the head of an answer.
    pub silent: bool,
    /// Answers only those who say this.
    pub token: Option<String>,
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    /// The first byte asked for.
    pub from: Option<usize>,
    /// It asks for one byte only, to learn of the file.
    pub is_probe: bool,
}

pub struct HubServer {
    pub endpoint: String,
    state: Arc<State>,
}

struct State {
    endpoint: String,
    /// Folders by `owner/name`.
    repositories: BTreeMap<String, PathBuf>,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<Request>>,
}

impl HubServer {
    /// Serves the folders as repositories until the test ends.
    pub fn start(repositories: &[(&str, PathBuf)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            endpoint: endpoint.clone(),
            repositories: repositories.iter().map(|(id, path)| ((*id).to_owned(), path.clone())).collect(),
            faults: Mutex::default(),
            requests: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that hangs up in the middle is none of the server's business.
                thread::spawn(move || state.converse(stream).ok());
            }
        });
        Self { endpoint, state }
    }

    pub fn misbehave(&self, faults: Faults) {
        *self.state.faults.lock().unwrap() = faults;
    }

    /// The requests so far, which are forgotten.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.requests.lock().unwrap())
    }
}

impl State {
    /// Answers one request after the other on a connection.
    fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let mut first = String::new();
            if reader.read_line(&mut first)? == 0 {
                return Ok(());
            }
            let mut headers = BTreeMap::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                match line.trim().split_once(": ") {
                    Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
                    None => break,
                };
            }
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            if !self.answer(&path, &headers, &stream)? {
                return stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    /// False where the connection is to be cut.
    fn answer(
        &self,
        path: &str,
        headers: &BTreeMap<String, String>,
        mut stream: &TcpStream,
    ) -> std::io::Result<bool> {
        let range = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let from = range.and_then(|(from, _)| from.parse().ok());
        let is_probe = range == Some(("0", "0"));
        self.requests.lock().unwrap().push(Request { path: path.to_owned(), from, is_probe });
        let mut faults = self.faults.lock().unwrap().clone();

        let given = headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if faults.token.is_some() && faults.token.as_deref() != given && !path.starts_with("/cdn/") {
            write!(stream, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        }
        let Some(mut bytes) = self.file(path).and_then(|file| fs::read(file).ok()) else {
            write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        };
        if bytes.len() >= LARGE_BYTES && !path.starts_with("/cdn/") {
            let tag = format!("{:x}", Sha256::digest(&bytes));
            write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {}/cdn{path}\r\nX-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"{tag}\"\r\n\
                 ETag: \"elsewhere\"\r\nContent-Length: 0\r\n\r\n",
                self.endpoint
            )?;
            return Ok(true);
        }
        let tag = format!(
            "{:x}",
            Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(&bytes).finalize()
        );
        let from = from.unwrap_or(0).min(bytes.len());
        let to = if is_probe { 1 } else { bytes.len() };
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n\
             X-Repo-Commit: {COMMIT}\r\nETag: \"{tag}\"\r\n\r\n",
            to - 1,
            bytes.len(),
            to - from,
        )?;
        if is_probe || !path.starts_with("/cdn/") {
            stream.write_all(&bytes[from..to])?;
            return Ok(true);
        }
        if faults.silent {
            thread::park();
        }
        if faults.damaged > 0 {
            faults.damaged -= 1;
            bytes[to - 1] ^= 1;
        }
        let mut end = to;
        if let Some((after, times)) = &mut faults.cut
            && *times > 0
        {
            *times -= 1;
            end = to.min(from + *after);
        }
        *self.faults.lock().unwrap() = faults;
        stream.write_all(&bytes[from..end])?;
        Ok(end == to)
    }

    /// The file behind `/OWNER/NAME/resolve/REVISION/FILE`, perhaps behind `/cdn`.
    fn file(&self, path: &str) -> Option<PathBuf> {
        let path = path.strip_prefix("/cdn").unwrap_or(path).strip_prefix('/')?;
        let (repository, rest) = path.split_once("/resolve/")?;
        let (revision, file) = rest.split_once('/')?;
        let is_known = ["main", "refs%2Fpr%2F18", COMMIT].contains(&revision);
        Some(self.repositories.get(repository)?.join(file)).filter(|_| is_known)
    }
}
