package danger

// Effective day lengths of the DMC, hours, January to December.
var dmcDayLengths = struct{ north, tropicNorth, tropicSouth, south [12]float64 }{
	north:       [12]float64{6.5, 7.5, 9.0, 12.8, 13.9, 13.9, 12.4, 10.9, 9.4, 8.0, 7.0, 6.0}, // the book's
	tropicNorth: [12]float64{7.9, 8.4, 8.9, 9.5, 9.9, 10.2, 10.1, 9.7, 9.1, 8.6, 8.1, 7.8},
	tropicSouth: [12]float64{10.1, 9.6, 9.1, 8.5, 8.1, 7.8, 7.9, 8.3, 8.9, 9.4, 9.9, 10.2},
	south:       [12]float64{11.5, 10.5, 9.2, 7.9, 6.8, 6.2, 6.5, 7.4, 8.7, 10.0, 11.2, 11.8},
}

// Seasonal adjustments of the DC north of 20° N, January to December: the book's.
var dcDayLengths = [12]float64{-1.6, -1.6, -1.6, 0.9, 3.8, 5.8, 6.4, 5.0, 2.4, 0.4, -1.6, -1.6}

// dmcDayLength is Le. The upper latitude of a band belongs to it.
func (o Options) dmcDayLength() float64 {
	m := o.Month - 1
	switch l := &dmcDayLengths; {
	case o.BookConstants || o.Latitude > 30:
		return l.north[m]
	case o.Latitude > 10:
		return l.tropicNorth[m]
	case o.Latitude > -10:
		return 9
	case o.Latitude > -30:
		return l.tropicSouth[m]
	default:
		return l.south[m]
	}
}

// dcDayLength is Lf. At 20° S itself it is the southern table, as in the reference
// programs.
func (o Options) dcDayLength() float64 {
	switch {
	case o.BookConstants || o.Latitude > 20:
		return dcDayLengths[o.Month-1]
	case o.Latitude > -20:
		return 1.4
	default:
		return dcDayLengths[(o.Month+5)%12]
	}
}
