module millstream.example/haversine

go 1.24
