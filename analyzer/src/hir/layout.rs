//! Where state variables stand in storage.

use ruint::aliases::U256;

use super::{ArrayLength, ContractId, Program, Scope, StructId, Type, VariableId};

/// The place of one state variable in the storage (or transient storage) of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageSlot {
    /// The variable.
    pub variable: VariableId,
    /// Its slot; the root of a mapping, dynamic array, `bytes` or `string`.
    pub slot: U256,
    /// Offset of its lowest byte in the slot.
    pub offset_bytes: u8,
    /// Its size; whole slots from 32 bytes on.
    pub size_bytes: u64,
    /// Stands in transient storage, which is numbered apart.
    pub is_transient: bool,
}

/// Slots of a struct or array are counted no further than this.
const MAX_SIZE_BYTES: u64 = 1 << 40;

impl Program {
    /// The storage layout of a contract, bases first, from where its `layout at` says, in order of slots;
    /// `None` where that, a type or a base is unknown, so that every later slot would be a guess.
    ///
    /// As the compiler lays it out: <https://docs.soliditylang.org/en/latest/internals/layout_in_storage.html>.
    pub fn storage_layout(&self, contract: ContractId) -> Option<Vec<StorageSlot>> {
        let contract = self.contract(contract);
        if contract.has_unknown_base {
            return None;
        }
        let start = match &contract.layout {
            Some(expr) => self.constant(Scope { file: contract.file, contract: None }, expr)?,
            None => U256::ZERO,
        };
        let mut out = Vec::new();
        let mut next = [Cursor::default(), Cursor::default()];
        for base in contract.linearisation.iter().rev() {
            for &id in &self.contract(*base).variables {
                let variable = self.variable(id);
                if variable.is_constant || variable.is_immutable {
                    continue;
                }
                let cursor = &mut next[usize::from(variable.is_transient)];
                let (size, is_whole) = self.size(&variable.ty, 0)?;
                let (slot, offset_bytes) = cursor.place(size, is_whole);
                let start = if variable.is_transient { U256::ZERO } else { start };
                let slot = start.checked_add(U256::from(slot))?;
                out.push(StorageSlot {
                    variable: id,
                    slot,
                    offset_bytes,
                    size_bytes: size,
                    is_transient: variable.is_transient,
                });
            }
        }
        Some(out)
    }

    /// The size in bytes, and whether the type always takes whole slots.
    fn size(&self, ty: &Type, depth: u32) -> Option<(u64, bool)> {
        if depth > 64 {
            return None;
        }
        Some(match ty {
            Type::Bool => (1, false),
            Type::Address | Type::Contract(_) => (20, false),
            Type::Uint(bits) | Type::Int(bits) => (u64::from(*bits) / 8, false),
            Type::FixedBytes(bytes) => (u64::from(*bytes), false),
            Type::Enum(_) => (1, false),
            Type::User(id) => self.size(&self.user_types[id.index()].underlying, depth + 1)?,
            Type::Function(function) => (if function.is_external { 24 } else { 8 }, false),
            Type::Mapping(..)
            | Type::Bytes
            | Type::String
            | Type::Array(_, ArrayLength::Dynamic) => (32, true),
            Type::Struct(id) => (self.struct_size(*id, depth)?, true),
            Type::Array(element, ArrayLength::Fixed(length)) => {
                let (size, is_whole) = self.size(element, depth + 1)?;
                let slots = if is_whole || size > 16 {
                    length.checked_mul(size.div_ceil(32))?
                } else {
                    length.div_ceil(32 / size)
                };
                (slots.checked_mul(32).filter(|size| *size <= MAX_SIZE_BYTES)?.max(32), true)
            }
            Type::Unknown
            | Type::Number
            | Type::Tuple(_)
            | Type::Array(_, ArrayLength::FixedUnknown) => return None,
        })
    }

    fn struct_size(&self, id: StructId, depth: u32) -> Option<u64> {
        let mut cursor = Cursor::default();
        for (_, ty) in &self.structs[id.index()].fields {
            let (size, is_whole) = self.size(ty, depth + 1)?;
            cursor.place(size, is_whole);
            if cursor.slot > MAX_SIZE_BYTES / 32 {
                return None;
            }
        }
        Some((cursor.slot + u64::from(cursor.used > 0)).max(1) * 32)
    }
}

#[derive(Default)]
struct Cursor {
    slot: u64,
    /// Bytes used in the current slot.
    used: u64,
}

impl Cursor {
    fn place(&mut self, size: u64, is_whole: bool) -> (u64, u8) {
        if self.used > 0 && (is_whole || self.used + size > 32) {
            self.slot += 1;
            self.used = 0;
        }
        let at = (self.slot, u8::try_from(self.used).unwrap_or(0));
        if is_whole {
            self.slot += size.div_ceil(32);
        } else {
            self.used += size;
        }
        at
    }
}
