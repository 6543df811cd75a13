//! Where a filter finds a message's properties.

/// Something that has properties by name.
pub trait PropertyLookup {
    /// The property's value, `None` when the message has none of that name. Names are case
    /// sensitive.
    fn get(&self, name: &str) -> Option<&str>;
}

/// Of two pairs with the same name the last one counts.
impl<N: AsRef<str>, V: AsRef<str>> PropertyLookup for [(N, V)] {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.iter().rev().find(|(known, _)| known.as_ref() == name);
        found.map(|(_, value)| value.as_ref())
    }
}

impl<N: AsRef<str>, V: AsRef<str>, const LENGTH: usize> PropertyLookup for [(N, V); LENGTH] {
    fn get(&self, name: &str) -> Option<&str> {
        PropertyLookup::get(self.as_slice(), name)
    }
}

impl<N: AsRef<str>, V: AsRef<str>> PropertyLookup for Vec<(N, V)> {
    fn get(&self, name: &str) -> Option<&str> {
        PropertyLookup::get(self.as_slice(), name)
    }
}

impl<P: PropertyLookup + ?Sized> PropertyLookup for &P {
    fn get(&self, name: &str) -> Option<&str> {
        (**self).get(name)
    }
}
