//! Types.

use super::{MAX_DEPTH, Read, Reader};
use crate::hir::{ArrayLength, FunctionType, Type};

impl Reader<'_> {
    pub(super) fn ty(&mut self) -> Read<Type> {
        self.count_part()?;
        let mut ty = self.plain_type()?;
        while self.eat("[") {
            self.count_part()?;
            let length = if self.eat("]") {
                ArrayLength::Dynamic
            } else if self.eat("?]") {
                ArrayLength::FixedUnknown
            } else {
                let length = self.word().parse().map_err(|_| self.error("a length"))?;
                self.expect("]")?;
                ArrayLength::Fixed(length)
            };
            ty = Type::Array(Box::new(ty), length);
        }
        Ok(ty)
    }

    pub(super) fn count_part(&mut self) -> Read<()> {
        self.n_parts += 1;
        if self.n_parts > MAX_DEPTH { Err(self.error("a type with fewer parts")) } else { Ok(()) }
    }

    pub(super) fn plain_type(&mut self) -> Read<Type> {
        if self.eat("?") {
            return Ok(Type::Unknown);
        }
        if self.rest().starts_with('(') {
            return Ok(Type::Tuple(self.types()?));
        }
        if self.eat("mapping(") {
            let key = self.ty()?;
            self.expect(" => ")?;
            let value = self.ty()?;
            self.expect(")")?;
            return Ok(Type::Mapping(Box::new(key), Box::new(value)));
        }
        let is_external = self.eat("external ");
        if self.eat("function") {
            let params = self.types()?;
            self.expect(" returns ")?;
            let returns = self.types()?;
            return Ok(Type::Function(Box::new(FunctionType { params, returns, is_external })));
        }
        let start = self.at;
        let word = self.word();
        let named = matches!(word, "contract" | "struct" | "enum" | "type") && self.eat(" ");
        let found = if named {
            let name = self.counted();
            match word {
                "contract" => self.names.find_contract(name).map(Type::Contract),
                "struct" => self.names.find_struct(name).map(Type::Struct),
                "enum" => self.names.find_enum(name).map(Type::Enum),
                _ => self.names.find_user_type(name).map(Type::User),
            }
        } else {
            elementary(word)
        };
        found.ok_or_else(|| {
            self.at = start;
            self.error("a type")
        })
    }

    pub(super) fn types(&mut self) -> Read<Vec<Type>> {
        self.expect("(")?;
        let mut out = Vec::new();
        if self.eat(")") {
            return Ok(out);
        }
        loop {
            out.push(self.ty()?);
            if self.eat(")") {
                return Ok(out);
            }
            self.expect(", ")?;
        }
    }
}

fn elementary(word: &str) -> Option<Type> {
    let width = |digits: &str, most: u16| {
        digits.parse().ok().filter(|width| (1..=most).contains(width) && !digits.starts_with('0'))
    };
    Some(match word {
        "bool" => Type::Bool,
        "address" => Type::Address,
        "bytes" => Type::Bytes,
        "string" => Type::String,
        "number" => Type::Number,
        _ => {
            if let Some(digits) = word.strip_prefix("uint") {
                Type::Uint(width(digits, 256)?)
            } else if let Some(digits) = word.strip_prefix("int") {
                Type::Int(width(digits, 256)?)
            } else {
                let bytes = width(word.strip_prefix("bytes")?, 32)?;
                Type::FixedBytes(u8::try_from(bytes).ok()?)
            }
        }
    })
}
