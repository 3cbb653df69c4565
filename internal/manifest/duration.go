package manifest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// durationHint tells how a duration is written that Go does not take, such as
// 90d or 1y; it is empty if s is nothing like one.
func durationHint(s string) string {
	units := map[string]time.Duration{"y": 8760 * time.Hour, "w": 168 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}
	var sum time.Duration
	rest := strings.ToLower(strings.ReplaceAll(s, " ", ""))
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > 1_000_000 {
			return ""
		}
		unit := strings.TrimRight(rest[digits:], "0123456789")
		if next := strings.IndexAny(rest[digits:], "0123456789"); next >= 0 {
			unit = rest[digits : digits+next]
		}
		rest = rest[digits+len(unit):]
		if unit == "" {
			return "write it with its unit, as in 2160h"
		}
		// days, weeks and years, written out, begin with the same letters.
		length, ok := units[unit[:1]]
		if !ok || len(unit) > 1 && unit[0] == 'm' {
			return ""
		}
		sum += time.Duration(n) * length
	}
	if sum == 0 {
		return ""
	}
	if sum%time.Hour == 0 {
		return fmt.Sprintf("cert-manager takes h, m and s: write %dh", sum/time.Hour)
	}
	return fmt.Sprintf("cert-manager takes h, m and s: write %s", sum)
}
