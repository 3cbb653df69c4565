package export

import "strings"

// An ImportStep says how one kind of software takes a PKCS#12 file.
type ImportStep struct {
	Where   string // "macOS", "Windows", ...
	Command string // for a shell; it asks for the password by itself
	Text    string // what to do where no command does it, or what to know
}

// Import returns how the target takes file, in the order of preference. No
// command has the password in it.
func (t P12Target) Import(file string) (steps []ImportStep) {
	families := groupFamilies(t.name)
	switch {
	case t.name == "curl":
		families = []string{"curl"}
	case families == nil:
		families = []string{t.readers[0].family}
	}
	for _, family := range families {
		steps = append(steps, importSteps(family, file)...)
	}
	return steps
}

func importSteps(family, file string) []ImportStep {
	f := ShellWord(file)
	switch family {
	case "macos":
		// Without -f, macOS 15 takes the old way, which knows no AES.
		return []ImportStep{{"macOS", "security import " + f + " -k ~/Library/Keychains/login.keychain-db -f pkcs12", ""}}
	case "ios":
		return []ImportStep{{"iOS, iPadOS", "", "send the file to the device and open it there, then install it under Settings > General > VPN & Device Management"}}
	case "windows":
		return []ImportStep{
			{"Windows", `certutil -user -importPFX "` + file + `"`, ""},
			{"PowerShell", `Import-PfxCertificate -FilePath '` + strings.ReplaceAll(file, "'", "''") + `' -CertStoreLocation Cert:\CurrentUser\My -Password (Read-Host -AsSecureString)`, ""},
		}
	case "android":
		return []ImportStep{{"Android", "", "copy the file to the device, then Settings > Security > Encryption & credentials > Install a certificate > VPN & app user certificate"}}
	case "firefox":
		return []ImportStep{{"Firefox", "", "Settings > Privacy & Security > View Certificates > Your Certificates > Import"}}
	case "nss":
		return []ImportStep{{"Linux (NSS)", "pk12util -i " + f + " -d sql:$HOME/.pki/nssdb", ""}}
	case "java":
		return []ImportStep{
			{"Java", "", "use the file as it is: javax.net.ssl.keyStore=" + file + ", javax.net.ssl.keyStoreType=PKCS12"},
			{"keytool", "keytool -importkeystore -srckeystore " + f + " -srcstoretype PKCS12 -destkeystore keystore.p12 -deststoretype PKCS12", ""},
		}
	case "openssl", "openssl-fips":
		return []ImportStep{{"OpenSSL", "openssl pkcs12 -in " + f + " -info", ""}}
	case "curl":
		return []ImportStep{{"curl", "curl --cert-type P12 --cert " + f + " --config curl.conf", `with a line pass = "PASSWORD" in curl.conf, which nobody else may read`}}
	case "gnutls":
		return []ImportStep{{"GnuTLS", "certtool --inder --p12-info --infile " + f, ""}}
	}
	return nil
}
