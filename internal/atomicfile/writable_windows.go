package atomicfile

// CheckWritable knows nothing of access control lists: the first file will tell.
func CheckWritable(_ string) error { return nil }
