"""DDL that Spark reads, and DDL that it refuses; the runner's tests ask Spark itself."""

from __future__ import annotations

READ = (
    *("a INT", "a: INT, b: STRING", "`a b` INT NOT NULL", "a INT COMMENT 'x, y'", "a DECIMAL"),
    *("a DECIMAL(38,38)", "a DEC(5)", "a NUMERIC(10, 2) NOT NULL COMMENT 'n'", "a ARRAY<INT>"),
    "a ARRAY<STRUCT<b: INT, c: MAP<STRING, ARRAY<DATE>>>> NOT NULL",
    *("a MAP<STRING,INT>", "a STRUCT<>", "a STRUCT<b INT NOT NULL COMMENT 'x'>", "a VARIANT"),
    *("a TIMESTAMP_NTZ, b TIMESTAMP_LTZ, c TIMESTAMP", "a INTERVAL DAY TO SECOND", "a VOID"),
    *("a INTERVAL MONTH", "a BYTE, b SHORT, c LONG, d REAL", "a STRING COLLATE UTF8_LCASE"),
    *("struct<a:int>", "int", "  a   int\n,\n b string ", "a int -- c\n, b int", "array<int>"),
    *("key STRING, date DATE, timestamp TIMESTAMP", "order INT, select INT", "1a INT"),
    *("a TIME(6)", "`a``b` INT", "a Struct<`x y`:Int>", "a DECIMAL(0)", "interval INT, map INT"),
    *("a INT /* x */, b INT", "not INT", "comment STRING", 'a STRING COMMENT "it\'s"', ""),
    *("a VARIANT NOT NULL", "decimal(10,2)", "a TIMESTAMP WITHOUT TIME ZONE", "a INTERVAL"),
    "int string",
)
TEXTS_OF_A_LENGTH = ("a CHAR(3)", "a VARCHAR(10) NOT NULL", "a ARRAY<CHARACTER(2)>")
REFUSED = (
    *("a INTEGR", "a DECIMAL(50,2)", "a DECIMAL(5,6)", "a DECIMAL(10,-2)", "a DECIMAL(1,2,3)"),
    *("a", "a,b", "a INT,", "a INT;", "a INT b INT", "a-b INT", "a.b INT", "a INT NULL"),
    *("a ARRAY", "a ARRAY<>", "a ARRAY(INT)", "a ARRAY[INT]", "a MAP<INT>", "a STRUCT(b INT)"),
    *("a ARRAY<INT NOT NULL>", "a STRUCT<b:INT,>", "a STRUCT<b INT", "a MAP<STRING, INT"),
    *("a TEXT", "a DATETIME", "a BOOL", "a NULL", "a NUMBER", "a INT64", "a UUID", "a ANY"),
    *("a FLOAT(3)", "a BINARY(3)", "a TIMESTAMP(3)", "a DOUBLE PRECISION", "a BIGINT UNSIGNED"),
    *("a INT PRIMARY KEY", "a INT NOT", "a INT COMMENT", "a NOT NULL INT", "'a' INT", '"a" INT'),
    *("a VARCHAR", "a CHAR", "DECIMAL(50,2)", "a INT DEFAULT 3", "a FOO(1, (2)"),
    *("a INT GENERATED ALWAYS AS (b+1)", "a MAP<STRING INT>", "a DECIMAL(x)", "a DECIMAL(1 2)"),
    *("array<int", "a ARRAY<INT", "a ARRAY<,>", "a STRUCT<b ARRAY<FOO>>"),
)
