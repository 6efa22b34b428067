package danger

// Hour is the weather of one step of the hourly FFMC.
type Hour struct {
	TempC   float64 // °C, −90 to 60
	RHPct   float64 // relative humidity, 0 to 100 %
	WindKMH float64 // km/h at 10 m, 0 to 500
	RainMM  float64 // mm in this step, 0 to 2000; all of it reaches the litter
	Hours   float64 // length of the step, 0.01 to 24 h; 0 means 1 h. Past a few hours it is a poor guess
}

// HourRating is what one hour gives: an FFMC, and the indices that follow from it
// with the day's BUI.
type HourRating struct {
	FFMC float64 `json:"ffmc"`
	ISI  float64 `json:"isi"`
	FWI  float64 `json:"fwi"`
	DSR  float64 `json:"dsr"`
}

// NextHour carries the hourly FFMC by one step, after Van Wagner 1977 (Information
// Report PS-X-69): the daily equations with a tenth of the rate (0.0579), and no
// rain kept back by the canopy. dayBUI is the BUI of the same day's Rating. Of the
// options it uses BookConstants alone. An hourly FFMC is a chain of its own: it is
// not the daily one at noon, and never goes on from it except at its start.
func NextHour(prevFFMC, dayBUI float64, in Hour, o Options) (HourRating, error) {
	if in.Hours == 0 {
		in.Hours = 1
	}
	noon := Noon{TempC: in.TempC, RHPct: in.RHPct, WindKMH: in.WindKMH, RainMM: in.RainMM}
	err := check(
		bound{field: "ffmc", value: prevFFMC, max: 101},
		bound{field: "bui", value: dayBUI, max: maxCode},
		bound{field: "hours", value: in.Hours, min: 0.01, max: 24},
	)
	if err == nil {
		err = noon.Check()
	}
	if err != nil {
		return HourRating{}, err
	}
	noon.RHPct = min(noon.RHPct, rhCap)
	k := o.scale()
	mo := moisture(prevFFMC, k)
	if in.RainMM > 0 {
		mo = wetted(mo, in.RainMM)
	}
	r := HourRating{FFMC: ffmcOf(towardsBalance(mo, noon, 0.0579, in.Hours), k)}
	r.ISI = isi(r.FFMC, in.WindKMH, k)
	r.FWI = fwi(r.ISI, dayBUI)
	r.DSR = dsr(r.FWI)
	return r, nil
}
