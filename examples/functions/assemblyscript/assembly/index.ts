// Great-circle distances, as a Millstream function over the core ABI.

import { FLOAT64, Request, failure, newFloats } from "./block";

export { mr_alloc } from "./block";

// Mean radius of the Earth in statute miles.
const EARTH_RADIUS_MILES: f64 = 3958.7613;

function haversineMiles(lat1: f64, lon1: f64, lat2: f64, lon2: f64): f64 {
  const sinLatitude = Math.sin(radians(lat2 - lat1) / 2);
  const sinLongitude = Math.sin(radians(lon2 - lon1) / 2);
  const chord =
    sinLatitude * sinLatitude +
    Math.cos(radians(lat1)) * Math.cos(radians(lat2)) * sinLongitude * sinLongitude;
  return 2 * EARTH_RADIUS_MILES * Math.asin(Math.min(1, Math.sqrt(chord)));
}

function radians(degrees: f64): f64 {
  return degrees * (Math.PI / 180);
}

// Called once per batch, with every row of it.
export function mr_eval(at: usize, length: i32): u64 {
  const request = new Request(at);
  if (request.columns != 4) return failure("haversine_miles takes 4 arguments");
  for (let column = 0; column < 4; column++) {
    if (request.type(column) != FLOAT64) return failure("an argument is not DOUBLE");
  }
  const lat1 = request.data(0);
  const lon1 = request.data(1);
  const lat2 = request.data(2);
  const lon2 = request.data(3);
  const reply = newFloats(request.rows);
  for (let row = 0; row < request.rows; row++) {
    const at = row * 8;
    const miles = haversineMiles(
      load<f64>(lat1 + at),
      load<f64>(lon1 + at),
      load<f64>(lat2 + at),
      load<f64>(lon2 + at),
    );
    store<f64>(reply.data + at, miles);
  }
  return reply.packed;
}
