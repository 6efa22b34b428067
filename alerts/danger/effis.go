package danger

// effisBounds are the upper bounds of the classes 1 to 5; a bound belongs to the
// class above it.
var effisBounds = [...]float64{5.2, 11.2, 21.3, 38, 50}

// EFFIS is the European class of an FWI: 1 very low (below 5.2), 2 low (11.2), 3
// moderate (21.3), 4 high (38), 5 very high (50), 6 extreme. It is 0 for what is no
// FWI, NaN or negative: unknown, which is not calm. The six classes are not the
// five levels of HTZ.
func EFFIS(fwi float64) int {
	if !(fwi >= 0) {
		return 0
	}
	for i, b := range effisBounds {
		if fwi < b {
			return i + 1
		}
	}
	return len(effisBounds) + 1
}
