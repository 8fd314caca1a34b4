# C types for the constants of `segment`, so that the compiled form reads them from registers.
cdef unsigned int _MAGIC
cdef int _HEADER, _LARGEST, _MOST_ITEMS, _SPAN_ID, _MARKER, _PARKED, _CROWDED, _LOSS
cdef int _RECORD, _DEFINITION, _END, _CLEAN_EXIT, _PENDING, _SETTLED
cdef int _WORD_FLAGS, _WORD_CLEAN_EXITS, _WORD_SEGMENT, _WORD_PENDING, _WORD_ENDED, _WORD_RINGED, _WORD_DROPS
cdef int _REASON_ROOM, _FLAG_RING, _RING_FULL, _TOO_BIG, _INVALID
