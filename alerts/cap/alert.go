package cap

import "time"

// Alert is one CAP message. Its times are whole seconds and keep the offset that
// the message gives them.
type Alert struct {
	Identifier  string
	Sender      string
	Sent        time.Time
	Status      string // Actual, Exercise, System, Test, Draft
	MsgType     string // Alert, Update, Cancel, Ack, Error
	Source      string
	Scope       string // Public, Restricted, Private
	Restriction string
	Addresses   string
	Codes       []string
	Note        string
	References  []Reference
	Incidents   string
	Infos       []Info

	// Upgraded says what the message was before: zero for one of CAP 1.2.
	Upgraded Upgrade
}

// Upgrade says what was made of a message of an older version, or of one that
// is no CAP.
type Upgrade struct {
	From  string   // 1.1, 1.0, QWeather …; empty: it is CAP 1.2
	Notes []string // what was changed, where anything was
}

// Reference names an earlier message: sender,identifier,sent. Sent is zero where
// the message does not give it, which is so in CAP 1.0 and in what aggregators
// make of warnings.
type Reference struct {
	Sender     string
	Identifier string
	Sent       time.Time
}

// Info is one segment of what is known, in one language. An absent time is zero.
type Info struct {
	Language    string // as it stands in the message; empty: not given, which means en-US
	Categories  []string
	Event       string
	Responses   []string
	Urgency     string
	Severity    string // Extreme, Severe, Moderate, Minor, Unknown
	Colour      Level  // when the message gave a colour as severity, which CAP does not have
	Certainty   string
	Audience    string
	EventCodes  []Pair
	Effective   time.Time
	Onset       time.Time
	Expires     time.Time
	SenderName  string
	Headline    string
	Description string
	Instruction string
	Web         string
	Contact     string
	Parameters  []Pair
	Resources   []Resource
	Areas       []Area
}

// Pair is a value under a name that the issuer chose.
type Pair struct {
	Name  string
	Value string
}

// Resource is something attached, or a link to it.
type Resource struct {
	Desc     string
	MIMEType string
	Size     string // bytes, a whole number; empty: not given
	URI      string
	DerefURI string // the content itself, in base64
	Digest   string // SHA-1 of the content
}

// Area is where an Info holds.
type Area struct {
	Desc     string
	Polygons [][]Point // each closed: the first point is the last
	Circles  []Circle
	Geocodes []Pair
	Altitude string // feet above mean sea level, a decimal number; with Ceiling the lower limit
	Ceiling  string // feet above mean sea level, a decimal number
}

// Point is a place, WGS-84.
type Point struct {
	Lat float64 // °
	Lon float64 // °
}

// Circle is a place and a radius around it.
type Circle struct {
	Centre   Point
	RadiusKM float64 // km
}
