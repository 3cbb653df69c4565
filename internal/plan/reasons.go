package plan

// The reasons of actions. All but Revoked and Adopted are cert-manager's, under its
// names.
const (
	DoesNotExist       = "DoesNotExist"
	MissingData        = "MissingData"
	InvalidKeyPair     = "InvalidKeyPair"
	InvalidCertificate = "InvalidCertificate"
	IncorrectIssuer    = "IncorrectIssuer"
	// IncorrectCertificate: the Secret in the input was made for another
	// Certificate.
	IncorrectCertificate = "IncorrectCertificate"
	SecretMismatch       = "SecretMismatch"
	RequestChanged       = "RequestChanged"
	Renewing             = "Renewing"
	Revoked              = "Revoked"

	// Adopted: the Secret in the input is what its Certificate asks for.
	Adopted = "Adopted"

	// For a rewrite: labels and annotations of the template, those of
	// cert-manager itself, and the output formats. A keystore is SecretMismatch.
	SecretTemplateMismatch          = "SecretTemplateMismatch"
	SecretManagedMetadataMismatch   = "SecretManagedMetadataMismatch"
	AdditionalOutputFormatsMismatch = "AdditionalOutputFormatsMismatch"
)

// A Reason is why something is done.
type Reason struct {
	Name   string   // one of the constants
	Text   string   // a sentence without a full stop
	Fields []string // the field paths it is about; may be empty
}

func (r Reason) String() string { return r.Name + ": " + r.Text }
