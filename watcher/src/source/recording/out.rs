//! Where a recording is written: a file as it stands, or one that is compressed while it grows.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};

/// How a gzip file begins (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file that takes a recording. One whose name ends in `.gz` is compressed (gzip, RFC 1952).
pub enum Out {
    /// Text.
    Plain(BufWriter<File>),
    /// Compressed text.
    Packed(Box<GzEncoder<BufWriter<File>>>),
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Packed(_) => "Packed",
        })
    }
}

impl Out {
    /// Makes the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let is_packed = path.extension().is_some_and(|extension| extension == "gz");
        Ok(if is_packed {
            Self::Packed(Box::new(GzEncoder::new(file, Compression::fast())))
        } else {
            Self::Plain(file)
        })
    }

    /// Writes what is left, and the end of a compressed file. A file that is dropped instead has its end all the same,
    /// but nobody hears whether it could be written.
    ///
    /// # Errors
    /// What the system says.
    pub fn end(self) -> io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Packed(packed) => packed.finish()?.flush(),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Packed(packed) => packed.write(bytes),
        }
    }

    /// All that was written so far can be read back, also where nothing follows.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Packed(packed) => packed.flush(),
        }
    }
}

/// Opens a recording for reading, compressed or not: its first bytes tell, whatever its name is.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn io::BufRead>> {
    let mut file = File::open(path)?;
    let mut first = Vec::with_capacity(GZIP.len());
    (&mut file).take(GZIP.len() as u64).read_to_end(&mut first)?;
    let is_packed = first == GZIP;
    let whole = BufReader::new(io::Cursor::new(first).chain(file));
    Ok(if is_packed {
        Box::new(BufReader::new(MultiGzDecoder::new(whole)))
    } else {
        Box::new(whole)
    })
}
