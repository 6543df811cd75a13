//! Great-circle distances between points given in degrees.

/// Mean radius of the Earth in statute miles.
const EARTH_RADIUS_MILES: f64 = 3958.7613;

plugin_sdk::functions! {
    /// Great-circle distance in statute miles, by the haversine formula.
    pub fn haversine_miles(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
        let half_latitude = (lat2 - lat1).to_radians() / 2.0;
        let half_longitude = (lon2 - lon1).to_radians() / 2.0;
        let chord = half_latitude.sin().powi(2)
            + lat1.to_radians().cos() * lat2.to_radians().cos() * half_longitude.sin().powi(2);
        2.0 * EARTH_RADIUS_MILES * chord.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::haversine_miles;

    #[test]
    fn new_york_to_los_angeles_is_2470_miles() {
        let miles = haversine_miles(40.6398, -73.7789, 33.9425, -118.4081);
        assert!((miles - 2470.0).abs() < 10.0, "{miles}");
    }
}
