package profiles

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// longUnits are the units that Go's durations lack. A year is 365 days.
var longUnits = map[byte]time.Duration{'d': day, 'w': 7 * day, 'y': 365 * day}

// ErrValidity is the cause of every error of [ParseValidity].
var ErrValidity = errors.New("not a lifetime")

// ParseValidity reads a lifetime: one or more whole numbers with a unit, as in
// "90d", "1y", "1y6w", or any duration of Go's, as in "36h30m". The units are y
// (365 days), w, d, and Go's h, m, s. The result is positive and whole seconds;
// the longest is about 292 years.
func ParseValidity(s string) (time.Duration, error) {
	var total time.Duration
	rest := s
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if n <= 0 || longUnits[rest[n]] == 0 {
			break
		}
		unit := longUnits[rest[n]]
		count, err := strconv.ParseInt(rest[:n], 10, 64)
		if err != nil || count > int64((math.MaxInt64-total)/unit) {
			return 0, fmt.Errorf("%q is %w: it is too long", s, ErrValidity)
		}
		total += time.Duration(count) * unit
		rest = rest[n+1:]
	}
	if rest != "" || s == "" {
		short, err := time.ParseDuration(rest)
		// A sign belongs to the whole: "1d-5h" is a slip of the pen.
		if err != nil || rest != s && strings.Trim(rest[:1], "+-") == "" {
			return 0, fmt.Errorf("%q is %w: write it as 90d, 1y or 36h", s, ErrValidity)
		}
		if short > 0 && total > math.MaxInt64-short {
			return 0, fmt.Errorf("%q is %w: it is too long", s, ErrValidity)
		}
		total += short
	}
	if total <= 0 {
		return 0, fmt.Errorf("%q is %w: it must be longer than nothing", s, ErrValidity)
	}
	if total%time.Second != 0 {
		return 0, fmt.Errorf("%q is %w: certificates count whole seconds", s, ErrValidity)
	}
	return total, nil
}

// FormatValidity writes d as [ParseValidity] reads it, in the largest units
// that divide it: 365 days is "1y", 90 days "90d", 90 minutes "1h30m0s".
func FormatValidity(d time.Duration) string {
	switch {
	case d > 0 && d%(365*day) == 0:
		return strconv.FormatInt(int64(d/(365*day)), 10) + "y"
	case d > 0 && d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return d.String()
}
