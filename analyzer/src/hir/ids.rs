//! Numbers of declarations: positions in the tables of a program.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub u32);

            impl $name {
                /// The position in its table.
                pub(crate) fn index(self) -> usize {
                    self.0 as usize
                }

                /// The number of the next entry of a table that has `len` entries.
                pub(crate) fn next(len: usize) -> Self {
                    Self(u32::try_from(len).expect("a source of 16 MiB holds fewer declarations"))
                }
            }
        )+
    };
}

ids! {
    /// A contract, interface or library.
    ContractId,
    /// A function, modifier, constructor, fallback or receive function.
    FunctionId,
    /// A state variable or a constant of a file.
    VariableId,
    /// A struct.
    StructId,
    /// An enumeration.
    EnumId,
    /// An event or an error.
    EventId,
    /// A user-defined value type.
    UserTypeId,
}
