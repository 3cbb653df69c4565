package trust

import "strings"

// parseTrustSettings reads what macOS's `security dump-trust-settings` says and
// returns the common names of the certificates with settings: lines such as
// "Cert 0: Acme root CA".
func parseTrustSettings(dump string) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(dump) {
		number, name, found := strings.Cut(strings.TrimSpace(line), ": ")
		if digits, is := strings.CutPrefix(number, "Cert "); found && is && digits != "" && strings.Trim(digits, "0123456789") == "" {
			names[name] = true
		}
	}
	return names
}
