// Great-circle distances, as a Millstream function over the core ABI.
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o haversine.wasm .
package main

import "math"

// Mean radius of the Earth in statute miles.
const earthRadiusMiles = 3958.7613

func haversineMiles(lat1, lon1, lat2, lon2 float64) float64 {
	halfLatitude := radians(lat2-lat1) / 2
	halfLongitude := radians(lon2-lon1) / 2
	chord := square(math.Sin(halfLatitude)) +
		math.Cos(radians(lat1))*math.Cos(radians(lat2))*square(math.Sin(halfLongitude))
	return 2 * earthRadiusMiles * math.Asin(math.Min(1, math.Sqrt(chord)))
}

func radians(degrees float64) float64 { return degrees * (math.Pi / 180) }

func square(x float64) float64 { return x * x }

// evaluate is called once per batch, with every row of it.
func evaluate(in request) (reply []byte) {
	if in.columns() != 4 {
		return failure("haversine_miles takes 4 arguments")
	}
	var arguments [4][]float64
	for i := range arguments {
		var err error
		if arguments[i], err = in.floats(i); err != nil {
			return failure(err.Error())
		}
	}
	result, reply := newFloats(in.rows())
	for row := range result {
		result[row] = haversineMiles(arguments[0][row], arguments[1][row], arguments[2][row], arguments[3][row])
	}
	return reply
}

// A reactor module has no main to run.
func main() {}
