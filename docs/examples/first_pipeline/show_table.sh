python -c "
import pandas as pd
table = pd.read_parquet('warehouse/gold.revenue_by_day').sort_values('day')
print(table.to_string(index=False))
"
