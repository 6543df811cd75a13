//! `CREATE TABLE`: columns of every kind, keys, watermark and options.

use sqlparser::{
    ast::{DataType, Expr},
    tokenizer::Token,
};

use super::{OptionTexts, options, parse_expression, parse_type};
use crate::{
    cursor::{Cursor, Name},
    error::{Error, Place},
};

/// A table as its statement declares it.
pub(crate) struct CreateTable {
    pub(crate) name: Name,
    pub(crate) columns: Vec<ColumnDefinition>,
    pub(crate) primary_key: Vec<Name>,
    pub(crate) watermark: Option<(Name, Expr)>,
    pub(crate) options: OptionTexts,
}

/// One column of the declaration.
pub(crate) struct ColumnDefinition {
    pub(crate) name: Name,
    pub(crate) source: ColumnSource,
}

/// What follows the column's name.
pub(crate) enum ColumnSource {
    Physical {
        data_type: DataType,
        place: Place,
        nullable: bool,
    },
    Metadata {
        data_type: DataType,
        place: Place,
        nullable: bool,
        key: String,
        is_virtual: bool,
    },
    Computed {
        expression: Expr,
        place: Place,
    },
}

impl CreateTable {
    /// Reads what follows `CREATE TABLE`.
    pub(super) fn parse(mut cursor: Cursor<'_>) -> Result<Self, Error> {
        cursor.take(&["IF", "NOT", "EXISTS"]);
        let name = cursor.object_name("the table's name")?;
        let mut table = Self {
            name,
            columns: Vec::new(),
            primary_key: Vec::new(),
            watermark: None,
            options: OptionTexts::new(),
        };
        cursor.expect_token(&Token::LParen)?;
        loop {
            table.element(&mut cursor)?;
            if !cursor.take_token(&Token::Comma) {
                break;
            }
        }
        cursor.expect_token(&Token::RParen)?;
        comment(&mut cursor)?;
        if cursor.sees_all(&["PARTITIONED", "BY"]) {
            return Err(Error::unsupported(cursor.place(), "PARTITIONED BY"));
        }
        if cursor.take(&["WITH"]) {
            table.options = options(&mut cursor)?;
        }
        for (word, what) in [
            ("LIKE", "CREATE TABLE … LIKE"),
            ("AS", "CREATE TABLE … AS SELECT"),
        ] {
            if cursor.sees(word) {
                return Err(Error::unsupported(cursor.place(), what));
            }
        }
        cursor.expect_end()?;
        Ok(table)
    }

    fn element(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        let place = cursor.place();
        if cursor.take(&["WATERMARK", "FOR"]) {
            let column = cursor.name("the column that carries event time")?;
            cursor.expect(&["AS"])?;
            let tokens = cursor.until(|cursor| cursor.peek() == Some(&Token::Comma));
            let expression = parse_expression(tokens, place)?;
            if self.watermark.replace((column, expression)).is_some() {
                return Err(Error::new(
                    "sql.watermark.repeated",
                    place,
                    "a table has one watermark",
                ));
            }
            return Ok(());
        }
        if cursor.sees("CONSTRAINT") || cursor.sees_all(&["PRIMARY", "KEY"]) {
            if cursor.take(&["CONSTRAINT"]) {
                cursor.name("the constraint's name")?;
            }
            cursor.expect(&["PRIMARY", "KEY"])?;
            let key = cursor.names("a key column")?;
            not_enforced(cursor, place)?;
            return self.set_primary_key(key, place);
        }
        let name = cursor.name("a column's name")?;
        let source = self.column(&name, cursor)?;
        comment(cursor)?;
        self.columns.push(ColumnDefinition { name, source });
        Ok(())
    }

    fn column(&mut self, name: &Name, cursor: &mut Cursor<'_>) -> Result<ColumnSource, Error> {
        let place = cursor.place();
        if cursor.take(&["AS"]) {
            let tokens = cursor
                .until(|cursor| cursor.peek() == Some(&Token::Comma) || cursor.sees("COMMENT"));
            return Ok(ColumnSource::Computed {
                expression: parse_expression(tokens, place)?,
                place,
            });
        }
        let data_type = parse_type(cursor)?;
        let mut nullable = true;
        if cursor.take(&["NOT", "NULL"]) {
            nullable = false;
        } else {
            cursor.take(&["NULL"]);
        }
        if cursor.take(&["METADATA"]) {
            let key = match cursor.take(&["FROM"]) {
                true => cursor.text("the metadata key in quotes")?.text,
                false => name.text.clone(),
            };
            let is_virtual = cursor.take(&["VIRTUAL"]);
            return Ok(ColumnSource::Metadata {
                data_type,
                place,
                nullable,
                key,
                is_virtual,
            });
        }
        let key_place = cursor.place();
        if cursor.take(&["PRIMARY", "KEY"]) {
            not_enforced(cursor, key_place)?;
            self.set_primary_key(vec![name.clone()], key_place)?;
        }
        Ok(ColumnSource::Physical {
            data_type,
            place,
            nullable,
        })
    }

    fn set_primary_key(&mut self, key: Vec<Name>, place: Place) -> Result<(), Error> {
        if !self.primary_key.is_empty() {
            return Err(Error::new(
                "sql.key.repeated",
                place,
                "a table has one primary key",
            ));
        }
        self.primary_key = key;
        Ok(())
    }
}

fn comment(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    if cursor.take(&["COMMENT"]) {
        cursor.text("the comment in quotes")?;
    }
    Ok(())
}

fn not_enforced(cursor: &mut Cursor<'_>, place: Place) -> Result<(), Error> {
    if cursor.take(&["NOT", "ENFORCED"]) {
        return Ok(());
    }
    Err(Error::new(
        "sql.key.enforced",
        place,
        "a primary key cannot be enforced here",
    )
    .why("the rows belong to the outside system")
    .hint("PRIMARY KEY … NOT ENFORCED"))
}
