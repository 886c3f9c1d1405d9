//! A first look at foreign bytes, before anything is allocated for them.
//!
//! A two-byte empty message costs its decoder a hundred bytes, and a field that we would skip may mean
//! something to another reader of the same file. So every field is counted, and one that is not needed for a
//! tree ensemble refuses the file.

use super::MAX_FILE_BYTES;
use crate::error::ModelError;
use crate::forest::MAX_NODES;

/// Most fields of a message that holds no long lists.
const MAX_FIELDS: usize = 256;
/// Most fields of an attribute: some exporters write each number of a list as a field, and the longest list
/// holds two votes per node.
const MAX_ATTRIBUTE_FIELDS: usize = 2 * MAX_NODES + MAX_FIELDS;
/// Largest description of an input or an output, bytes.
const MAX_VALUE_INFO_BYTES: usize = 1_024;

/// Refuses bytes whose decoding could cost much, or that hold more than one tree ensemble needs.
///
/// # Errors
/// [`ModelError::TooLarge`] or [`ModelError::Malformed`], naming the message and the field's number.
pub(super) fn check(bytes: &[u8]) -> Result<(), ModelError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(ModelError::TooLarge { bytes: bytes.len(), limit: MAX_FILE_BYTES });
    }
    let model = fields("model", bytes, &[1, 2, 3, 4, 5, 6, 7, 8, 14], MAX_FIELDS)?;
    for graph in messages(&model, 7) {
        let graph = fields("graph", graph, &[1, 2, 10, 11, 12], MAX_FIELDS)?;
        for info in messages(&graph, 11).chain(messages(&graph, 12)) {
            if info.len() > MAX_VALUE_INFO_BYTES {
                return Err(ModelError::malformed(
                    "graph",
                    "describes an input or output at too great length",
                ));
            }
        }
        for node in messages(&graph, 1) {
            let node = fields("node", node, &[1, 2, 3, 4, 5, 6, 7], MAX_FIELDS)?;
            for attribute in messages(&node, 5) {
                fields(
                    "attribute",
                    attribute,
                    &[1, 2, 3, 4, 7, 8, 9, 13, 20],
                    MAX_ATTRIBUTE_FIELDS,
                )?;
            }
        }
    }
    Ok(())
}

type Field<'a> = (u64, &'a [u8]);

fn messages<'a, 'f>(
    fields: &'f [Field<'a>],
    number: u64,
) -> impl Iterator<Item = &'a [u8]> + use<'a, 'f> {
    fields.iter().filter(move |field| field.0 == number).map(|field| field.1)
}

/// The fields of one message; those that hold no bytes are given as empty.
fn fields<'a>(
    message: &'static str,
    mut rest: &'a [u8],
    allowed: &[u64],
    limit: usize,
) -> Result<Vec<Field<'a>>, ModelError> {
    let malformed = |reason: String| ModelError::malformed(message, reason);
    let truncated = || malformed("ends in the middle of a field".to_owned());
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest).ok_or_else(truncated)?;
        let number = key >> 3;
        if !allowed.contains(&number) {
            return Err(malformed(format!(
                "holds field {number}, which a tree ensemble does not need"
            )));
        }
        if fields.len() == limit {
            return Err(malformed(format!("holds more than {limit} fields")));
        }
        let length = match key & 7 {
            0 => {
                varint(&mut rest).ok_or_else(truncated)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest).ok_or_else(truncated)?)
                .map_err(|_| truncated())?,
            5 => 4,
            kind => {
                return Err(malformed(format!(
                    "holds field {number} in the unknown wire type {kind}"
                )));
            }
        };
        let (value, after) = rest.split_at_checked(length).ok_or_else(truncated)?;
        fields.push((number, if key & 7 == 2 { value } else { &[][..] }));
        rest = after;
    }
    Ok(fields)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
