//! From `CREATE TABLE` to a table that queries can read and write.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use dataflow::{Column, ColumnKind, Expression, TableSpec, Watermark};
use datafusion::{
    common::{DFSchema, DataFusionError},
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast,
        logical_plan::builder::LogicalTableSource,
    },
};
use datafusion_proto::bytes::Serializeable;
use sqlparser::ast;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    build::unqualified,
    canonical,
    catalog::{Catalog, Table},
    connectors::{ConnectorSpec, Connectors},
    cursor::Name,
    error::{Error, Place},
    functions::Functions,
    meaning::give_flinks_meaning_to,
    nearest::nearest,
    query::{analyze, planning_error},
    relations::{FlinkRelations, Mode},
    respell::respell,
    roles::{Role, of_expression},
    scope::Scope,
    statements::{ColumnDefinition, ColumnSource, CreateTable},
    supported,
    types::{self, TIMESTAMP, arrow_type, flink_type},
};

/// Checks a declaration and reports everything wrong with it.
pub(crate) fn table(
    declared: CreateTable,
    connectors: &Connectors,
    functions: &Functions,
) -> Result<Table, Vec<Error>> {
    let mut errors = Vec::new();
    let checked = connectors.check(declared.name.place, &declared.options);
    let (options, place) = match checked {
        Ok(checked) => (checked.options, checked.place),
        Err(found) => {
            errors.extend(found);
            Default::default()
        }
    };
    let connector = options
        .get("connector")
        .and_then(|name| connectors.get(name));
    let mut table = Declaration {
        name: declared.name,
        columns: Vec::new(),
        computed: HashMap::new(),
        roles: Vec::new(),
        functions,
    };
    table.plain_columns(&declared.columns, connector, &mut errors);
    table.computed_columns(declared.columns, &mut errors);
    let primary_key = table.primary_key(&declared.primary_key, &mut errors);
    let key_place = declared.primary_key.first().map(|column| column.place);
    let watermark = match declared.watermark {
        Some((column, expression)) => table
            .watermark(&column, expression)
            .map_err(|found| errors.extend(found))
            .ok(),
        None => None,
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let (described, expression) = watermark.unzip();
    let spec = TableSpec {
        name: table.name.text,
        columns: table.columns,
        primary_key,
        watermark: described,
        options,
        place,
    };
    Ok(Table {
        spec,
        computed: table.computed,
        watermark: expression,
        roles: table.roles,
        key_place,
    })
}

struct Declaration<'a> {
    name: Name,
    columns: Vec<Column>,
    computed: HashMap<usize, Expr>,
    roles: Vec<Role>,
    functions: &'a Functions,
}

impl Declaration<'_> {
    /// Physical and metadata columns; computed ones hold their place.
    fn plain_columns(
        &mut self,
        declared: &[ColumnDefinition],
        connector: Option<&ConnectorSpec>,
        errors: &mut Vec<Error>,
    ) {
        let mut names = BTreeSet::new();
        for column in declared {
            let name = &column.name;
            if !names.insert(name.text.clone()) {
                errors.push(Error::new(
                    "sql.column.repeated",
                    name.place,
                    format!("column {} is declared twice", name.text),
                ));
            }
            let (data_type, nullable, kind) = match &column.source {
                ColumnSource::Physical {
                    data_type,
                    place,
                    nullable,
                } => (
                    self.column_type(data_type, *place, errors),
                    *nullable,
                    ColumnKind::Physical,
                ),
                ColumnSource::Metadata {
                    data_type,
                    place,
                    nullable,
                    key,
                    is_virtual,
                } => {
                    let data_type = self.column_type(data_type, *place, errors);
                    errors.extend(
                        check_metadata(name, key, &data_type, *is_virtual, connector).err(),
                    );
                    (
                        data_type,
                        *nullable,
                        ColumnKind::Metadata {
                            key: key.clone(),
                            is_virtual: *is_virtual,
                        },
                    )
                }
                ColumnSource::Computed { .. } => {
                    let pending = Expression {
                        sql: String::new(),
                        encoded: Vec::new(),
                    };
                    (DataType::Null, true, ColumnKind::Computed(pending))
                }
            };
            self.columns.push(Column {
                name: name.text.clone(),
                data_type,
                nullable,
                kind,
            });
            self.roles.push(Role::Plain);
        }
    }

    fn column_type(
        &self,
        written: &ast::DataType,
        place: Place,
        errors: &mut Vec<Error>,
    ) -> DataType {
        arrow_type(written).unwrap_or_else(|why| {
            errors.push(Error::new("sql.type", place, why));
            DataType::Null
        })
    }

    fn computed_columns(&mut self, declared: Vec<ColumnDefinition>, errors: &mut Vec<Error>) {
        let plain: Vec<_> = self
            .columns
            .iter()
            .filter(|column| !matches!(column.kind, ColumnKind::Computed(_)))
            .map(Column::field)
            .collect();
        let plain = Arc::new(Schema::new(plain));
        for (position, column) in declared.into_iter().enumerate() {
            let ColumnSource::Computed { expression, place } = column.source else {
                continue;
            };
            let planned = self.expression(expression, place, &plain, None);
            match planned.and_then(|(expression, schema)| {
                let (_, field) = expression
                    .to_field(&schema)
                    .map_err(|error| vec![planning_error(&error, place)])?;
                let encoded = encode(&expression, place)?;
                Ok((expression, schema, field, encoded))
            }) {
                Ok((expression, schema, field, encoded)) => {
                    self.roles[position] = of_expression(&expression, &schema, &[]);
                    let column = &mut self.columns[position];
                    column.data_type = types::canonical(field.data_type());
                    column.nullable = field.is_nullable();
                    column.kind = ColumnKind::Computed(encoded);
                    self.computed.insert(position, expression);
                }
                Err(found) => errors.extend(found),
            }
        }
    }

    fn primary_key(&mut self, names: &[Name], errors: &mut Vec<Error>) -> Vec<usize> {
        let mut key = Vec::new();
        for name in names {
            match self.position(name) {
                Ok(position) if matches!(self.columns[position].kind, ColumnKind::Computed(_)) => {
                    errors.push(Error::new(
                        "sql.key.column",
                        name.place,
                        format!("computed column {} cannot be in the primary key", name.text),
                    ));
                }
                Ok(position) => {
                    self.columns[position].nullable = false;
                    key.push(position);
                }
                Err(error) => errors.push(error),
            }
        }
        key
    }

    fn watermark(
        &mut self,
        column: &Name,
        expression: ast::Expr,
    ) -> Result<(Watermark, Expr), Vec<Error>> {
        let position = self.position(column).map_err(|error| vec![error])?;
        let data_type = &self.columns[position].data_type;
        if *data_type != TIMESTAMP {
            let error = Error::new(
                "sql.watermark.type",
                column.place,
                format!("column {} cannot carry event time", column.text),
            );
            let hint = match data_type {
                DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, None) => {
                    "declare it TIMESTAMP(3): event time counts milliseconds"
                }
                _ => "event time is a TIMESTAMP(3)",
            };
            return Err(vec![
                error
                    .why(format!("it is {}", flink_type(data_type)))
                    .hint(hint),
            ]);
        }
        let all = Arc::new(Schema::new(
            self.columns.iter().map(Column::field).collect::<Vec<_>>(),
        ));
        let (expression, _) = self.expression(expression, column.place, &all, Some(TIMESTAMP))?;
        let encoded = encode(&expression, column.place)?;
        self.roles[position] = Role::EventTime;
        Ok((
            Watermark {
                column: position,
                expression: encoded,
            },
            expression,
        ))
    }

    /// Plans an expression over some of the table's columns, with its types resolved.
    fn expression(
        &self,
        mut written: ast::Expr,
        place: Place,
        columns: &Arc<Schema>,
        wanted: Option<DataType>,
    ) -> Result<(Expr, DFSchema), Vec<Error>> {
        supported::check_expression(&written, place, self.functions)?;
        respell(&mut written);
        self.planned(written, columns, wanted)
            .map_err(|error| vec![planning_error(&error, place)])
    }

    fn planned(
        &self,
        written: ast::Expr,
        columns: &Arc<Schema>,
        wanted: Option<DataType>,
    ) -> Result<(Expr, DFSchema), DataFusionError> {
        let catalog = Catalog::default();
        let (relations, _) = FlinkRelations::new(Mode::Stream, &catalog);
        let scope = Scope::new(&catalog, self.functions, relations);
        let source = Arc::new(LogicalTableSource::new(Arc::clone(columns)));
        let scan = LogicalPlanBuilder::scan(self.name.text.as_str(), source, None)?;
        let schema = scan.schema().as_ref().clone();
        let meant = give_flinks_meaning_to(scope.expression(written, &schema)?, &schema)?;
        let meant = match wanted {
            Some(wanted) if meant.get_type(&schema)? != wanted => cast(meant, wanted),
            _ => meant,
        };
        let LogicalPlan::Projection(mut projection) =
            analyze(scan.project([meant.alias("value")])?.build()?)?
        else {
            return Err(DataFusionError::Plan(
                "an expression became something else".to_owned(),
            ));
        };
        let expression = projection.expr.remove(0);
        let plain = DFSchema::try_from(columns.as_ref().clone())?;
        Ok((unqualified(&expression), plain))
    }

    fn position(&self, name: &Name) -> Result<usize, Error> {
        self.columns
            .iter()
            .position(|column| column.name == name.text)
            .ok_or_else(|| {
                let known = self.columns.iter().map(|column| column.name.as_str());
                Error::new(
                    "sql.column.unknown",
                    name.place,
                    format!("table {} has no column {}", self.name.text, name.text),
                )
                .nearest(nearest(&name.text, known))
            })
    }
}

fn encode(expression: &Expr, place: Place) -> Result<Expression, Vec<Error>> {
    let sql = canonical::text(expression).map_err(|what| vec![Error::unsupported(place, what)])?;
    let encoded = expression
        .to_bytes()
        .map_err(|error| vec![planning_error(&error, place)])?;
    Ok(Expression {
        sql,
        encoded: encoded.to_vec(),
    })
}

fn check_metadata(
    name: &Name,
    key: &str,
    data_type: &DataType,
    is_virtual: bool,
    connector: Option<&ConnectorSpec>,
) -> Result<(), Error> {
    let Some(connector) = connector else {
        return Ok(());
    };
    let Some(known) = connector.metadata.iter().find(|known| known.key == key) else {
        let keys = connector.metadata.iter().map(|known| known.key.as_str());
        return Err(Error::new(
            "sql.metadata.unknown",
            name.place,
            format!("the connector has no metadata '{key}'"),
        )
        .nearest(nearest(key, keys).map(|word| format!("'{word}'"))));
    };
    if known.data_type != *data_type {
        return Err(Error::new(
            "sql.metadata.type",
            name.place,
            format!("metadata '{key}' is {}", flink_type(&known.data_type)),
        )
        .hint(format!(
            "{} {} METADATA FROM '{key}'",
            name.text,
            flink_type(&known.data_type)
        )));
    }
    if !known.is_writable && !is_virtual {
        return Err(Error::new(
            "sql.metadata.virtual",
            name.place,
            format!("metadata '{key}' is read and never written"),
        )
        .hint("add VIRTUAL"));
    }
    Ok(())
}
