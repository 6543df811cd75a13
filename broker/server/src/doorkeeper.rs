//! Knows who is inside and what they carry, for all doors of one role.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::bytes_in_flight::BytesInFlight;
use crate::limits::Limits;
use crate::turned_away::{TurnedAway, Why};

pub struct Doorkeeper {
    pub limits: Limits,
    pub in_flight: Arc<BytesInFlight>,
    pub turned_away: TurnedAway,
    /// Guards plain numbers; asked when a connection comes and when it goes.
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    total: usize,
    addresses: HashMap<IpAddr, usize>,
}

/// A connection that was let in. Dropping it makes room for another.
pub struct Guest {
    keeper: Arc<Doorkeeper>,
    address: IpAddr,
}

impl Doorkeeper {
    pub fn new(limits: Limits) -> Arc<Doorkeeper> {
        Arc::new(Doorkeeper {
            in_flight: BytesInFlight::new(limits.bytes_in_flight),
            turned_away: TurnedAway::default(),
            guests: Mutex::default(),
            limits,
        })
    }

    /// Lets a connection in, unless there are too many.
    pub fn let_in(self: &Arc<Self>, address: IpAddr) -> Result<Guest, Why> {
        let mut guests = self.guests.lock();
        let of_address = guests.addresses.get(&address).copied().unwrap_or(0);
        let refused = if guests.total >= self.limits.connections {
            Some(Why::Crowded)
        } else if of_address >= self.limits.connections_of_address {
            Some(Why::AddressCrowded)
        } else {
            None
        };
        if let Some(why) = refused {
            drop(guests);
            self.turned_away.count(why);
            return Err(why);
        }
        guests.total += 1;
        guests.addresses.insert(address, of_address + 1);
        Ok(Guest {
            keeper: self.clone(),
            address,
        })
    }

    /// Connections at this moment.
    pub fn guests(&self) -> usize {
        self.guests.lock().total
    }
}

impl Guest {
    pub fn keeper(&self) -> &Arc<Doorkeeper> {
        &self.keeper
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.keeper.guests.lock();
        guests.total -= 1;
        if let Some(count) = guests.addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                guests.addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places_and_who_leaves_makes_room() {
        let keeper = Doorkeeper::new(Limits {
            connections: 3,
            connections_of_address: 2,
            ..Limits::default()
        });
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let let_in = |last| keeper.let_in(address(last));
        let first = let_in(1).expect("room");
        let _second = let_in(1).expect("room");
        assert_eq!(let_in(1).err(), Some(Why::AddressCrowded));
        let _third = let_in(2).expect("another address has room");
        assert_eq!(let_in(3).err(), Some(Why::Crowded));
        drop(first);
        assert!(let_in(1).is_ok());
        assert_eq!(keeper.guests(), 2);
    }
}
