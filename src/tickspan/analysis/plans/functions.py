"""Functions of MySQL, MariaDB and SQLite that only compute: what an EXPLAIN may meet in a statement.

PostgreSQL's catalog tells the volatility of each function, so it has no list here.
"""

from __future__ import annotations

from typing import Final

from tickspan.analysis.sql.keywords import words

__all__ = ["BUILT_IN", "FORBIDDEN"]

_COMMON: Final = words("""
    abs acos asin atan atan2 avg cast ceil ceiling char coalesce concat concat_ws cos count cume_dist
    current_date current_time current_timestamp date degrees dense_rank exp first_value floor format hex if
    ifnull instr json_array json_extract json_object json_type json_valid lag last_value lead least length
    like ln log log10 log2 lower ltrim max min mod nth_value ntile nullif percent_rank pi pow power radians
    rank replace round row_number rtrim sign sin sqrt substr substring sum tan time trim truncate unhex
    upper over filter
""")
_MYSQL: Final = words("""
    adddate addtime ascii bin bit_and bit_count bit_length bit_or bit_xor char_length character_length
    coercibility collation conv convert convert_tz cot crc32 curdate curtime datediff date_add date_format
    date_sub day dayname dayofmonth dayofweek dayofyear elt extract field find_in_set from_base64 from_days
    from_unixtime get_format greatest group_concat hour inet_aton inet_ntoa inet6_aton inet6_ntoa insert
    interval isnull is_ipv4 is_ipv6 json_arrayagg json_array_append json_array_insert json_compact
    json_contains json_contains_path json_depth json_detailed json_equals json_exists json_insert json_keys
    json_length json_loose json_merge_patch json_merge_preserve json_normalize json_objectagg json_overlaps
    json_query json_quote json_remove json_replace json_search json_set json_unquote json_value last_day lcase
    left locate localtime localtimestamp lpad make_set makedate maketime match against median microsecond mid
    minute month monthname natural_sort_key now oct octet_length ord percentile_cont percentile_disc
    period_add period_diff position quarter quote regexp_instr regexp_like regexp_replace regexp_substr
    repeat reverse right rpad sec_to_time second sha sha1 sha2 md5 soundex space std stddev stddev_pop
    stddev_samp str_to_date strcmp subdate substring_index subtime time_format time_to_sec timediff timestamp
    timestampadd timestampdiff to_base64 to_days to_seconds ucase unix_timestamp utc_date utc_time
    utc_timestamp values value var_pop var_samp variance week weekday weekofyear weight_string year yearweek
    nvl nvl2 decode rand numeric decimal varchar binary datetime signed unsigned key index use force ignore
    div xor rlike regexp collate escape separator
""")
_SQLITE: Final = words("""
    changes cosh acosh asinh atanh date datetime glob group_concat iif json json_array_length json_each
    json_error_position json_group_array json_group_object json_insert json_patch json_pretty json_quote
    json_remove json_replace json_set json_tree julianday likelihood likely octet_length printf quote
    sinh soundex strftime string_agg tanh timediff total trunc typeof unicode unixepoch unlikely zeroblob
    numeric decimal varchar
""")

BUILT_IN: Final = {"mysql": _COMMON | _MYSQL, "sqlite": _COMMON | _SQLITE}
"""By dialect, in lower case; types that take sizes are among them, since only the place tells them apart."""

FORBIDDEN: Final = (
    ("dblink", "dblink asks another server"),
    ("crosstab", "crosstab runs a text as a statement"),
    ("connectby", "connectby runs a text as a statement"),
    ("normal_rand", "normal_rand makes any number of rows"),
    ("xpath_table", "xpath_table runs a text as a statement"),
    ("query_to_xml", "query_to_xml runs a text as a statement"),
    ("cursor_to_xml", "cursor_to_xml moves a cursor"),
    ("table_to_xml", "table_to_xml reads a whole table"),
    ("schema_to_xml", "schema_to_xml reads a whole schema"),
    ("database_to_xml", "database_to_xml reads a whole database"),
    ("ts_stat", "ts_stat runs a text as a statement"),
    ("txid_current", "txid_current takes a transaction id"),
    ("pg_current_xact_id", "pg_current_xact_id takes a transaction id"),
    ("pg_", "pg_… functions act on the server"),
    ("lo_", "lo_… functions act on large objects"),
    ("hypopg", "hypopg changes what the planner sees"),
    ("set_config", "set_config changes settings"),
    ("nextval", "nextval takes a number of a sequence"),
    ("setval", "setval changes a sequence"),
    ("sleep", "sleep waits"),
    ("benchmark", "benchmark burns time"),
    ("get_lock", "get_lock takes a lock"),
    ("release_lock", "release_lock gives a lock back"),
    ("load_file", "load_file reads a file"),
    ("load_extension", "load_extension loads a library"),
    ("readfile", "readfile reads a file"),
    ("writefile", "writefile writes a file"),
    ("edit", "edit starts a program"),
    ("sys_exec", "sys_exec starts a program"),
    ("sys_eval", "sys_eval starts a program"),
    ("master_pos_wait", "master_pos_wait waits"),
    ("last_insert_id", "last_insert_id can change its session"),
)
"""Beginnings of names, with the reason that is told."""
