package v1

// DeviceRequest is the body of POST /devices, which needs id, kind and area, and
// of PATCH /devices/{id}, which may have neither id nor kind. What is left out
// stays as it is.
type DeviceRequest struct {
	ID           *string  `json:"id"`
	Kind         *string  `json:"kind"`
	Area         *string  `json:"area"`
	Name         *string  `json:"name"`
	Site         *string  `json:"site"`
	Phone        *string  `json:"phone"`
	Lat          *float64 `json:"lat"`
	Lon          *float64 `json:"lon"`
	ExpectS      *float64 `json:"expect_s"`
	Disabled     *bool    `json:"disabled"`
	Model        *string  `json:"model"`
	Alias        *string  `json:"alias"`
	Firmware     *string  `json:"firmware"`
	Calibration  *string  `json:"calibration"`
	CalibratedAt *string  `json:"calibrated_at"` // RFC 3339; empty: never
}

// Provisioned answers POST /devices.
type Provisioned struct {
	Device Device `json:"device"`
	Card   Card   `json:"card"`
}

// Card is all that a device needs to connect: of POST /devices and POST
// /devices/{id}/credential. It is shown once and kept nowhere.
type Card struct {
	Username  string   `json:"username"`
	Password  string   `json:"password"`
	Host      string   `json:"host"`
	Port      int      `json:"port"`
	TLS       bool     `json:"tls"`
	URL       string   `json:"url"`       // mqtt:// or mqtts://
	Publish   []string `json:"publish"`   // topics; /# at the end: it and all below
	Subscribe []string `json:"subscribe"` // topics
	QRText    string   `json:"qr_text"`   // what the code holds
	QRSVG     string   `json:"qr_svg"`    // the code as an SVG document
}

// ImportReport answers POST /devices/import: what the table changes, or would.
type ImportReport struct {
	DryRun    bool           `json:"dry_run"`
	Sheet     string         `json:"sheet"` // of the workbook that was read; of CSV empty
	Added     int            `json:"added"`
	Changed   int            `json:"changed"`
	Removed   int            `json:"removed"`
	Unchanged int            `json:"unchanged"`
	Changes   []ImportChange `json:"changes"` // the first thousand
	Errors    []ImportFault  `json:"errors"`  // only of a dry run: nothing can be imported while there is one
}

// ImportChange is one device that changes.
type ImportChange struct {
	ID      string   `json:"id"`
	Change  string   `json:"change"`  // added, changed, removed
	Columns []string `json:"columns"` // that change
}

// ImportFault is what is wrong with one row.
type ImportFault struct {
	Sheet   string `json:"sheet"`
	Row     int    `json:"row"` // from 1, the header included; 0: the table
	Column  string `json:"column"`
	Message string `json:"message"`
}
