//! One macro for numbers with names on the wire: declares the type, its constants and `name`.

/// Declares a newtype over the number, one constant per known value, and the way back to its name.
macro_rules! numbered {
    (
        $(#[$attribute:meta])*
        pub struct $type:ident;
        $($name:ident = $number:literal,)*
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub i32);

        #[allow(missing_docs)]
        impl $type {
            $(pub const $name: $type = $type($number);)*

            /// The name RocketMQ gives this number; `None` for a number it does not know.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => write!(out, "{name}({})", self.0),
                    None => write!(out, "{}", self.0),
                }
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(out, "{self}")
            }
        }
    };
}

pub(crate) use numbered;
