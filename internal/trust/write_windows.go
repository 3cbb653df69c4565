package trust

// canWrite leaves it to the programs to be refused.
func canWrite(string) error { return nil }
